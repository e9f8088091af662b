/** A Linux guest under QEMU, driven over a virtio serial port. */
import { existsSync, readFileSync } from 'node:fs'
import { type Server, type Socket, createServer } from 'node:net'
import { join } from 'node:path'
import { type DebianTree, qemuOf } from './debian.ts'
import { type Started, event, start } from './processes.ts'

export type Accelerator = 'kvm' | 'tcg'

export interface GuestOptions {
  /** Names the log and the sockets. */
  readonly name: string
  readonly accelerator: Accelerator
  readonly tree: DebianTree
  readonly initramfs: string
  /** Folder for the sockets; short, since a socket's path has at most 107 bytes. */
  readonly sockets: string
  readonly logs: string
  /** QEMU arguments. */
  readonly devices?: readonly string[]
  /** A file that is run in place of the kernel, and loads a system by itself. */
  readonly loader?: string
  readonly cpus?: number
  readonly megabytes?: number
  /** More words for the kernel's command line. */
  readonly kernelWords?: string
  readonly bootSeconds?: number
}

export interface Answer {
  readonly code: number
  readonly output: string
}

/** no_timer_check: on a busy machine the emulated timer is late, and the kernel would give up. */
export const QUIET_KERNEL = 'console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off no_timer_check'

export type MachineOptions = Pick<
  GuestOptions,
  'tree' | 'accelerator' | 'initramfs' | 'loader' | 'cpus' | 'megabytes' | 'kernelWords'
>

/** A machine that boots, without consoles and cards. */
export function qemuMachine(options: MachineOptions): string[] {
  const { tree } = options
  const cpus = options.cpus ?? 2
  const memory = `${options.megabytes ?? 1024}M`
  return [
    ...qemuOf(tree).command,
    ...(options.accelerator === 'kvm'
      ? ['-accel', 'kvm,kernel-irqchip=split', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off']),
    // vfio-user devices reach the guest's memory through the shared file.
    ...['-machine', 'q35,memory-backend=mem0'],
    ...['-object', `memory-backend-memfd,id=mem0,size=${memory},share=on`],
    ...['-m', memory, '-smp', String(cpus)],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-run-with', 'exit-with-parent=on'],
    ...(options.loader === undefined
      ? [
          ...['-kernel', tree.kernelImage, '-initrd', options.initramfs],
          ...['-append', `${QUIET_KERNEL} ${options.kernelWords ?? ''}`.trim()],
        ]
      : ['-kernel', options.loader]),
  ]
}

export function qemuCommand(options: GuestOptions): string[] {
  return [
    ...qemuMachine(options),
    ...['-chardev', `file,id=console,path=${consoleLog(options)}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=agent,path=${agentSocket(options)}`, '-device', 'virtio-serial-pci,addr=1e'],
    ...['-device', 'virtserialport,chardev=agent'],
    ...(options.devices ?? []),
  ]
}

export function consoleLog(options: GuestOptions): string {
  return join(options.logs, `${options.name}.log`)
}

function agentSocket(options: GuestOptions): string {
  return join(options.sockets, `${options.name}.agent`)
}

interface Pending {
  resolve(answer: Answer): void
  reject(error: Error): void
}

export class Guest {
  readonly name: string
  /** Seconds from QEMU's start to the guest's shell. */
  bootSeconds = 0
  readonly #qemu: Started
  readonly #listener: Server
  readonly #pending = new Map<string, Pending>()
  readonly #log: string
  #agent: Socket | undefined
  #received = ''
  #nextId = 1
  #gone: Error | undefined

  /** Starts QEMU and waits for the guest's shell. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const listener = createServer()
    listener.listen(agentSocket(options))
    await event(listener, 'listening', 5)
    const guest = new Guest(options, listener)
    const seconds = options.bootSeconds ?? 90
    const started = performance.now()
    try {
      await guest.#ready(seconds)
    } catch (error) {
      await guest.stop()
      throw new Error(`${options.name} did not boot within ${seconds} s\n${guest.describe()}`, {
        cause: error,
      })
    }
    guest.bootSeconds = (performance.now() - started) / 1000
    return guest
  }

  private constructor(options: GuestOptions, listener: Server) {
    this.name = options.name
    this.#log = consoleLog(options)
    this.#listener = listener
    this.#qemu = start(qemuCommand(options))
    // QEMU only pauses the guest when KVM gives up on an instruction.
    this.#qemu.child.stderr?.on('data', () => {
      if (this.#qemu.output().includes('KVM internal error'))
        this.#fail(new Error(`${this.name}: KVM internal error`))
    })
    void this.#qemu.ended.then((code) => {
      this.#fail(new Error(`the guest ${this.name} has ended (QEMU's exit code ${code})\n${this.describe()}`))
    })
  }

  async #ready(seconds: number): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#pending.set('READY', { resolve: () => resolve(), reject })
      this.#listener.once('connection', (socket) => {
        this.#agent = socket
        socket.setEncoding('latin1')
        socket.on('data', (text: string) => this.#take(text))
        // A broken connection means that QEMU has ended; its exit code and output say more.
        socket.on('error', () => undefined)
      })
    })
    await this.#within('boot', seconds, ready)
  }

  #take(text: string): void {
    this.#received += text
    for (let end = this.#received.indexOf('\n'); end >= 0; end = this.#received.indexOf('\n')) {
      const [word = '', id = '', code = '', output = ''] = this.#received.slice(0, end).trim().split(' ')
      this.#received = this.#received.slice(end + 1)
      const key = word === 'RC' ? id : word
      this.#pending
        .get(key)
        ?.resolve({ code: Number(code), output: Buffer.from(output, 'base64').toString('utf8') })
      this.#pending.delete(key)
    }
  }

  #fail(error: Error): void {
    this.#gone ??= error
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }

  async #within<T>(what: string, seconds: number, promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name}: no answer within ${seconds} s: ${what}`)),
        seconds * 1000,
      )
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Runs a shell script in the guest. Several may run at once. Throws if the guest is gone or silent. */
  async shell(script: string, seconds = 60): Promise<Answer> {
    if (this.#gone !== undefined) throw this.#gone
    const id = String(this.#nextId++)
    const answer = new Promise<Answer>((resolve, reject) => this.#pending.set(id, { resolve, reject }))
    this.#agent?.write(`${id} ${Buffer.from(script).toString('base64')}\n`)
    try {
      return await this.#within(script, seconds, answer)
    } finally {
      this.#pending.delete(id)
    }
  }

  /** As shell(), for a script that has to succeed: returns its output. */
  async sh(script: string, seconds = 60): Promise<string> {
    const { code, output } = await this.shell(script, seconds)
    if (code !== 0) throw new Error(`${this.name}: exit ${code}: ${script}\n${output}`)
    return output
  }

  get alive(): boolean {
    return this.#gone === undefined
  }

  /** Runs `body` while the whole machine stands still, QEMU included. */
  async frozen(body: () => Promise<void>): Promise<void> {
    this.#qemu.child.kill('SIGSTOP')
    try {
      await body()
    } finally {
      this.#qemu.child.kill('SIGCONT')
    }
  }

  /** The end of the console log and what QEMU said: for error messages. */
  describe(): string {
    const console = existsSync(this.#log)
      ? readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
      : ''
    return `${this.#qemu.output().slice(0, 2000)}${console}\n(console log: ${this.#log})`
  }

  async stop(): Promise<void> {
    this.#agent?.destroy()
    this.#listener.close()
    await this.#qemu.stop()
  }
}
