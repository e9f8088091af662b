/** A virtual 82599 behind a UNIX socket: the model, its BAR0 in shared memory, what it is plugged into, and its server. */
import { takeAllSteps } from '../undo.ts'
import { MSIX_VECTORS } from './model/config-space.ts'
import { VirtualCard } from './model/virtual-card.ts'
import { serve } from './served-82599.ts'
import type { Breach } from './model/strict.ts'
import { canWaitForWords } from '../linux/futex.ts'
import type { DeviceEnd } from '../linux/handover.ts'
import { RegisterMemory } from './register-memory.ts'
import { InterruptLines } from './vfio-user/interrupt-lines.ts'
import { MAX_MAPPINGS, Server } from './vfio-user/server.ts'
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

export class VirtualNic {
  readonly name: string
  readonly wire: Wire
  readonly device: VirtualCard
  private readonly registers = new RegisterMemory()
  private readonly server: Server
  private closed = false

  /** Throws LinuxError if the shared memory can't be had. The wire stays the caller's until close(). */
  constructor(options: VirtualNicOptions) {
    this.name = options.name
    this.wire = options.wire
    const lines: InterruptLines = new InterruptLines({
      vectors: MSIX_VECTORS,
      pending: () => this.device.pendingBits,
      intxDisabled: () => this.device.config.intxDisabled,
      onUnmask: () => this.device.interrupts.resample(),
    })
    this.device = new VirtualCard({
      mac: options.mac,
      wire: options.wire,
      strict: options.strict,
      inspect: options.inspect !== false,
      interrupts: lines,
      bar0: this.registers.buffer,
    })
    this.server = new Server({
      device: serve(this.device, lines, this.registers),
      limits: {
        mappings: options.maxMappings ?? MAX_MAPPINGS,
        allowUnsealed: options.allowUnsealed === true,
      },
      onRefusal: options.onRefusal ?? (() => undefined),
      onClient: options.onClient ?? (() => undefined),
    })
  }

  /** Where the wire delivers. */
  get port(): Port {
    return this.device
  }

  get connected(): boolean {
    return this.server.connected
  }

  /** See Server. */
  get generation(): number {
    return this.server.generation
  }

  /** True if the tails must be looked at because no message tells of them. */
  get sharedDoorbells(): boolean {
    return this.server.sharedDoorbells
  }

  /** By which it and the client's workers let each other run, if the client does; null: it doesn't. */
  get handover(): DeviceEnd | null {
    return canWaitForWords() && this.server.sharedDoorbells ? this.registers.handover : null
  }

  get alone(): boolean {
    return this.wire.wakeFds.length === 0 && (!this.server.connected || this.handover?.heard === true)
  }

  /** Creates the socket file and listens. Throws IXY_ERR_DEVICE_IN_USE, IXY_ERR_FILE, LinuxError. */
  listen(path: string): void {
    this.server.listen(path)
  }

  /** Removes the socket file; whoever is connected stays. */
  stopListening(): void {
    this.server.stopListening()
  }

  /** Descriptors that wake a sleeping loop; others once `generation` has changed. */
  fds(): number[] {
    return [...this.server.fds(), ...this.wire.wakeFds]
  }

  /** One turn: messages, frames, interrupts. Returns 0 if there was nothing to do. */
  poll(now: number): number {
    if (this.closed) return 0
    const work = this.server.poll(now) + this.device.poll(now)
    if (this.server.sharedDoorbells) this.registers.handover.polled(work)
    return work
  }

  get lastMoved(): number {
    return this.device.moved[1]
  }

  /** The next poll looks at the socket, if something may be there. Call after sleeping. */
  wake(now: number, ready: boolean): void {
    this.server.wake(now, ready)
  }

  /** When poll() has something to do by itself, ms on the clock of `now`; Infinity if never. */
  nextEvent(now: number): number {
    return Math.min(this.server.nextEvent(), this.device.nextEvent(now))
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
    takeAllSteps([() => this.server.close(), () => this.wire.close(), () => this.registers.close()])
  }
}
