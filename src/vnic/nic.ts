/** A virtual 82599 behind a UNIX socket: the model, its BAR0 in shared memory, and whoever is connected. */
import { takeAllSteps } from '../errors.ts'
import { close, createSealedMemfd } from '../linux/file.ts'
import { mmap, munmap, viewOf } from '../linux/mapping.ts'
import { UnixListener } from '../linux/unix-socket.ts'
import { Device } from './model/device.ts'
import { BAR0_BYTES } from './model/registers.ts'
import type { Breach } from './model/strict.ts'
import { ServerConnection } from './vfio-user/connection.ts'
import { InterruptLines } from './vfio-user/interrupt-lines.ts'
import { Session } from './vfio-user/session.ts'
import type { Port, Wire, WireReport } from './wires/wire.ts'

export interface VirtualNicOptions {
  /** For messages: the socket's path or what the user wrote. */
  readonly name: string
  /** Six bytes. */
  readonly mac: Uint8Array
  readonly wire: Wire
  /** Record breaches of the datasheet. */
  readonly strict: boolean
  /** Called when a client has connected or gone. */
  readonly onClient?: (connected: boolean) => void
}

/** How often the socket of a client that rings by memory is looked at while there is traffic, ms. */
const SOCKET_INTERVAL = 0.1

export class VirtualNic {
  readonly name: string
  readonly wire: Wire
  readonly device: Device
  private readonly lines: InterruptLines
  private readonly bar0Fd: number
  private readonly bar0: bigint
  private readonly onClient: (connected: boolean) => void
  private listener: UnixListener | null = null
  private session: Session | null = null
  private nextSocketLook = 0
  private closed = false
  /** Counts comings and goings of clients: fds() has changed when this has. */
  generation = 0

  /** Throws LinuxError if the shared memory can't be had. The wire stays the caller's until close(). */
  constructor(options: VirtualNicOptions) {
    this.name = options.name
    this.wire = options.wire
    this.onClient = options.onClient ?? (() => undefined)
    this.bar0Fd = createSealedMemfd('ixy-vnic-bar0', BAR0_BYTES)
    this.bar0 = mmap(BAR0_BYTES, { fd: this.bar0Fd })
    this.lines = new InterruptLines(() => this.device.bar4)
    this.device = new Device({
      mac: options.mac,
      wire: options.wire,
      strict: options.strict,
      interrupts: this.lines,
      bar0: viewOf(this.bar0, BAR0_BYTES),
    })
    this.lines.onUnmask = () => this.device.interrupts.resample()
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
    if (session === null) return this.accept()
    if (session.sharedDoorbells && now < this.nextSocketLook) return 0
    this.nextSocketLook = now + SOCKET_INTERVAL
    const count = session.poll()
    if (session.connection.closed) this.disconnect()
    return count
  }

  /** The next poll looks at the socket. Call after sleeping. */
  wake(): void {
    this.nextSocketLook = 0
  }

  private accept(): number {
    const socket = this.listener?.accept()
    if (socket === undefined || socket === null) return 0
    this.session = new Session(new ServerConnection(socket), this.host())
    this.generation++
    this.onClient(true)
    return 1
  }

  private host(): ConstructorParameters<typeof Session>[1] {
    return { device: this.device, lines: this.lines, bar0Fd: this.bar0Fd }
  }

  private disconnect(): void {
    const { session } = this
    if (session === null) return
    this.session = null
    session.close()
    this.generation++
    this.onClient(false)
  }

  /** When poll() has something to do by itself, ms on the clock of `now`; Infinity if never. */
  nextEvent(now: number): number {
    return this.device.nextEvent(now)
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
      () => this.stopListening(),
      () => this.wire.close(),
      () => munmap(this.bar0, BAR0_BYTES),
      () => close(this.bar0Fd),
    ])
  }
}
