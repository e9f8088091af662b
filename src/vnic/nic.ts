/** A virtual 82599 behind a UNIX socket: the model, its BAR0 in shared memory, and whoever is connected. */
import { BackgroundClose } from '../linux/background-close.ts'
import { isErrno } from '../linux/libc.ts'
import { UnixListener, type UnixSocket } from '../linux/unix-socket.ts'
import { takeAllSteps } from '../undo.ts'
import { Device } from './model/device.ts'
import type { Breach } from './model/strict.ts'
import { RegisterMemory } from './register-memory.ts'
import { ServerConnection } from './vfio-user/connection.ts'
import { InterruptLines } from './vfio-user/interrupt-lines.ts'
import { Session, type SessionHost } from './vfio-user/session.ts'
import type { Port, Wire, WireReport } from './wires/wire.ts'

export interface VirtualNicOptions {
  /** For messages: the socket's path or what the user wrote. */
  readonly name: string
  /** Six bytes. */
  readonly mac: Uint8Array
  readonly wire: Wire
  /** Record breaches of the datasheet. */
  readonly strict: boolean
  /** See ModelOptions. Default: yes. */
  readonly inspect?: boolean
  /** Called when a client has connected or gone. */
  readonly onClient?: (connected: boolean) => void
  /** Called with why a client was refused something that it can't do without, and what to do. */
  readonly onRefusal?: (reason: string) => void
  /** See MemoryLimits. */
  readonly maxMappings?: number
  readonly allowUnsealed?: boolean
}

/** Mappings a client may have if nobody says otherwise. */
export const MAX_MAPPINGS = 24576

/** How often the socket of a client that rings by memory is looked at while there is traffic, ms. */
const SOCKET_INTERVAL = 0.1
/** How often a client that doesn't read its replies is looked at, ms. */
const STUCK_INTERVAL = 2
/** How long nobody is accepted when the system has no descriptor or memory left for another connection, ms. */
const ACCEPT_PAUSE = 100
/** Milliseconds of giving back the memory of a client that has gone before others get their turn. */
const TURN = 1

export class VirtualNic {
  readonly name: string
  readonly wire: Wire
  readonly device: Device
  private readonly lines: InterruptLines
  private readonly registers = new RegisterMemory()
  private readonly host: SessionHost
  private readonly closer = new BackgroundClose()
  private readonly onClient: (connected: boolean) => void
  private listener: UnixListener | null = null
  private session: Session | null = null
  /** What the last client's leaving has left to do. */
  private leaving: Iterator<void, void> | null = null
  /** The socket is not listened to until nextSocketLook: its client doesn't read, or the system has no room for one. */
  private deaf = false
  private nextSocketLook = 0
  private closed = false
  /** Counts comings and goings of clients: fds() has changed when this has. */
  generation = 0

  /** Throws LinuxError if the shared memory can't be had. The wire stays the caller's until close(). */
  constructor(options: VirtualNicOptions) {
    this.name = options.name
    this.wire = options.wire
    this.onClient = options.onClient ?? (() => undefined)
    this.lines = new InterruptLines(
      () => this.device.bar4,
      () => this.device.config.intxDisabled,
    )
    this.device = new Device({
      mac: options.mac,
      wire: options.wire,
      strict: options.strict,
      inspect: options.inspect !== false,
      interrupts: this.lines,
      bar0: this.registers.buffer,
    })
    this.lines.onUnmask = () => this.device.interrupts.resample()
    this.host = {
      device: this.device,
      lines: this.lines,
      limits: {
        mappings: options.maxMappings ?? MAX_MAPPINGS,
        allowUnsealed: options.allowUnsealed === true,
      },
      shareDoorbells: () => this.registers.share(),
      onRefusal: options.onRefusal ?? (() => undefined),
    }
  }

  /** Where the wire delivers. */
  get port(): Port {
    return this.device
  }

  get connected(): boolean {
    return this.session !== null
  }

  /** Creates the socket file and listens. Throws IXY_ERR_DEVICE_IN_USE, IXY_ERR_FILE, LinuxError. */
  listen(path: string): void {
    this.listener = UnixListener.listen(path)
    this.generation++
  }

  /** Removes the socket file; whoever is connected stays. */
  stopListening(): void {
    this.listener?.close()
    this.listener = null
    this.generation++
  }

  /** Descriptors that wake a sleeping loop; others once `generation` has changed. */
  fds(): number[] {
    if (this.deaf) return [...this.wire.wakeFds]
    const own = this.session?.connection.socket.fd ?? this.listener?.fd
    return own === undefined ? [...this.wire.wakeFds] : [own, ...this.wire.wakeFds]
  }

  /** True if the tails must be looked at because no message tells of them. */
  get sharedDoorbells(): boolean {
    return this.session?.sharedDoorbells === true
  }

  /** One turn: messages, frames, interrupts. Returns 0 if there was nothing to do. */
  poll(now: number): number {
    if (this.closed) return 0
    return this.pollSocket(now) + this.device.poll(now)
  }

  private pollSocket(now: number): number {
    const { session } = this
    if (this.leaving !== null) return this.leave()
    if (session === null && this.closer.pending > 0) return 0
    if ((this.deaf || session?.sharedDoorbells === true) && now < this.nextSocketLook) return 0
    if (session === null) return this.accept(now)
    const count = session.poll()
    const { stuck, closed } = session.connection
    this.nextSocketLook = now + (stuck ? STUCK_INTERVAL : SOCKET_INTERVAL)
    this.setDeaf(stuck)
    if (closed) this.disconnect()
    return count
  }

  private setDeaf(deaf: boolean): void {
    if (deaf === this.deaf) return
    this.deaf = deaf
    this.generation++
  }

  /** The next poll looks at the socket. Call after sleeping. */
  wake(): void {
    if (!this.deaf) this.nextSocketLook = 0
  }

  private accept(now: number): number {
    let socket: UnixSocket | null | undefined
    try {
      socket = this.listener?.accept()
    } catch (error) {
      if (!isErrno(error, 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM')) throw error
      this.nextSocketLook = now + ACCEPT_PAUSE
      this.setDeaf(true)
      return 0
    }
    this.setDeaf(false)
    if (socket === undefined || socket === null) return 0
    this.session = new Session(new ServerConnection(socket, this.closer), this.host)
    this.generation++
    this.onClient(true)
    return 1
  }

  /** The device is as new at once; the client's memory goes bit by bit, and nobody is let in before that is done. */
  private disconnect(): void {
    const { session } = this
    if (session === null) return
    this.session = null
    this.deaf = false
    this.registers.unshare()
    this.leaving = session.close()
    this.generation++
    this.leave()
    this.onClient(false)
  }

  private leave(): number {
    const { leaving } = this
    if (leaving === null) return 0
    const until = performance.now() + TURN
    this.leaving = null
    // A step that throws is the last one.
    while (leaving.next().done !== true) {
      if (performance.now() < until) continue
      this.leaving = leaving
      break
    }
    return 1
  }

  /** When poll() has something to do by itself, ms on the clock of `now`; Infinity if never. */
  nextEvent(now: number): number {
    const own = this.deaf ? this.nextSocketLook : Infinity
    return Math.min(own, this.device.nextEvent(now))
  }

  breaches(): Breach[] {
    return this.device.strict.breaches()
  }

  wires(): WireReport[] {
    return this.wire.reports()
  }

  /** Ends the client's connection, removes the socket file, closes the wire. Idempotent. */
  close(): void {
    if (this.closed) return
    this.closed = true
    takeAllSteps([
      () => this.disconnect(),
      () => {
        while (this.leaving !== null) this.leave()
      },
      () => this.stopListening(),
      () => this.wire.close(),
      () => this.registers.close(),
    ])
  }
}
