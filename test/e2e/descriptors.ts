/** Pipes and terminals as a shell or an xterm would hand them to the tool, with the test at the other end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, read, writeSync } from 'node:fs'
import { ioctl } from '../../src/linux/file.ts'
import { check, declare, type Pointer } from '../../src/linux/libc.ts'

const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000
const F_SETFL = 4
const F_SETPIPE_SZ = 1031

const pipe2 = declare<(fds: Pointer, flags: number) => number>('int pipe2(void *fds, int flags)')
const fcntl = declare<(fd: number, command: number, value: number) => number>(
  'int fcntl(int fd, int command, long value)',
)
const posixOpenpt = declare<(flags: number) => number>('int posix_openpt(int flags)')
const grantpt = declare<(fd: number) => number>('int grantpt(int fd)')
const unlockpt = declare<(fd: number) => number>('int unlockpt(int fd)')
const ptsnameR = declare<(fd: number, name: Pointer, bytes: number) => number>(
  'int ptsname_r(int fd, void *name, size_t bytes)',
)

const open = new Set<number>()
afterEach(() => {
  for (const fd of open) shut(fd)
})

/** Closes a descriptor that was opened here, unless it is closed already. */
export function shut(fd: number): void {
  if (open.delete(fd)) closeSync(fd)
}

export interface Ends {
  /** The test's end. */
  readonly near: number
  /** The tool's end, blocking; to be shut once the tool has been started. */
  readonly far: number
}

/** A pipe that holds `bytes`; nobody reads it unless readAll() is called. */
export function pipe(bytes = 4096): Ends {
  const fds = new Int32Array(2)
  check(pipe2(fds, O_CLOEXEC), 'pipe2')
  const [near, far] = fds
  open.add(near).add(far)
  check(fcntl(far, F_SETPIPE_SZ, bytes), 'fcntl')
  check(fcntl(near, F_SETFL, O_NONBLOCK), 'fcntl')
  return { near, far }
}

/** A terminal; `near` is where the keyboard and the screen are. */
export function terminal(): Ends & { readonly path: string } {
  const near = check(posixOpenpt(0o2 | O_CLOEXEC | O_NONBLOCK), 'posix_openpt')
  open.add(near)
  check(grantpt(near), 'grantpt')
  check(unlockpt(near), 'unlockpt')
  const name = new Uint8Array(64)
  check(-ptsnameR(near, name, name.length), 'ptsname_r')
  const path = Buffer.from(name).toString().replace(/\0.*/s, '')
  const far = openSync(path, 0o2 | 0o400)
  open.add(far)
  return { near, far, path }
}

/** Bytes that could be read now. */
export function waiting(near: number): number {
  const count = new Int32Array(1)
  ioctl(near, 'FIONREAD', 0x541b, count)
  return count[0]
}

/** As if it were typed. */
export function type(near: number, text: string): void {
  writeSync(near, text)
}

/** Reads what comes, until `enough` says so of all that has come, or the other end is closed. Fails after 30 s. */
export async function readUntil(
  near: number,
  enough: (text: string) => boolean = () => false,
): Promise<string> {
  const deadline = performance.now() + 30_000
  const buffer = Buffer.alloc(65536)
  let text = ''
  while (!enough(text)) {
    const bytes = await new Promise<number>((resolve, reject) => {
      read(near, buffer, 0, buffer.length, null, (error, count) => {
        if (error === null) resolve(count)
        else if (error.code === 'EAGAIN') setTimeout(() => resolve(-1), 5)
        // A terminal whose programs have all gone.
        else if (error.code === 'EIO') resolve(0)
        else reject(error)
      })
    })
    if (bytes === 0) return text
    if (bytes > 0) text += buffer.toString('utf8', 0, bytes)
    else if (performance.now() > deadline) throw new Error(`nothing more comes after ${text}`)
  }
  return text
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** performance.now() */
  readonly at: number
}

/** A running command whose stdin, stdout and stderr are the given descriptors. */
export class Launched {
  readonly pid: number
  readonly ended: Promise<Ended>
  private readonly process: ChildProcess

  constructor(
    [program, ...args]: readonly string[],
    [stdin, stdout, stderr]: readonly (number | 'ignore')[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.process = spawn(program, args, {
      stdio: [stdin, stdout, stderr],
      env: { ...process.env, NO_COLOR: '1', ...env },
    })
    this.pid = this.process.pid ?? 0
    launched.add(this)
    this.ended = new Promise((resolve, reject) => {
      this.process.on('error', reject)
      this.process.on('exit', (code, signal) => {
        launched.delete(this)
        resolve({ code, signal, at: performance.now() })
      })
    })
    for (const fd of [stdin, stdout, stderr]) if (fd !== 'ignore') shut(fd)
  }

  /** Sends a signal; returns when, performance.now(). */
  kill(signal: NodeJS.Signals): number {
    this.process.kill(signal)
    return performance.now()
  }
}

const launched = new Set<Launched>()
afterEach(() => {
  for (const one of launched) one.kill('SIGKILL')
})
