import { asIxyError, IxyError } from '../../errors.ts'
import { isErrno } from '../../linux/libc.ts'
import { tryRead, tryWrite } from '../../linux/file.ts'
import type { InterfaceDrops } from '../../linux/interfaces.ts'
import type { Tap } from '../../linux/tap.ts'
import { tapDrops } from '../../linux/tap-drops.ts'
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import { plainAccount, type WireAccount } from './account.ts'
import type { Port, Wire, WireReport } from './wire.ts'

/** A TAP has an MTU of at most 65521: no frame is cut. */
const BUFFER_BYTES = 65536
/** Frames per poll: each costs a system call, and the NIC wants its turn. */
const BATCH = 64

/**
 * A Linux TAP interface: the kernel's own stack is at the far end. Frames wait in the interface's queue while the host
 * has no descriptor free; the kernel drops and counts when that is full. Short frames are padded with zeros to 60
 * bytes, as every Ethernet card does.
 */
export class TapWire implements Wire {
  readonly wakeFds: readonly number[]
  readonly finite = false
  private readonly text: string
  private readonly tap: Tap
  private readonly incoming = allocateBytes(BUFFER_BYTES)
  private readonly outgoing = allocateBytes(BUFFER_BYTES)
  private arrived = 0
  private refused = 0
  private sent = 0
  private undelivered = 0
  private stopped = false
  /** Why send() can't go on. */
  private failure: IxyError | null = null
  private closed = false
  /** What an interface that existed before had dropped by then. */
  private readonly before: InterfaceDrops
  /** Null where it can't be seen. */
  private drops: InterfaceDrops | null = null

  /** Takes over `tap`. */
  constructor(text: string, tap: Tap) {
    this.text = text
    this.tap = tap
    this.wakeFds = [this.tap.fd]
    this.look()
    this.before = this.drops ?? { received: 0, sent: 0 }
  }

  /** Throws IXY_ERR_DEVICE_GONE when the interface has been deleted. */
  poll(port: Port, budget: number): number {
    if (this.failure !== null) throw this.failure
    if (this.stopped) return 0
    const { incoming } = this
    const limit = Math.min(budget, BATCH, port.room())
    let count = 0
    for (; count < limit; count++) {
      let length = this.read(incoming)
      if (length < 0) break
      while (length < MIN_FRAME_BYTES) incoming.u8[length++] = 0
      this.sent++
      if (!port.deliver(incoming, 0, length)) this.undelivered++
    }
    return count
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    if (this.failure !== null) return false
    copyBytes(memory, offset, this.outgoing, 0, length)
    try {
      if (tryWrite(this.tap.fd, this.outgoing.u8, length) < 0) return false
    } catch (error) {
      // EIO: the interface is down. EINVAL: not a frame.
      if (!isErrno(error, 'EIO', 'EINVAL', 'ENOMEM', 'ENOBUFS')) {
        this.failure = isErrno(error, 'EBADFD') ? this.gone(error) : asIxyError(error)
        return false
      }
      this.refused++
    }
    this.arrived++
    return true
  }

  nextEvent(): number {
    return Infinity
  }

  ended(): boolean {
    return this.stopped
  }

  stop(): void {
    this.stopped = true
  }

  /**
   * `arrived`: from the NIC. `refused`: of these, not taken by the kernel (interface down). `sent`: to the NIC. Where the
   * kernel's own counters can be seen, `kernelDroppedOut`: of what it took, and `kernelDroppedIn`: never came here, because
   * the interface's queue was full.
   */
  reports(): WireReport[] {
    const { arrived, refused, sent, undelivered } = this
    return [{ wire: this.text, counters: { arrived, refused, sent, undelivered, ...this.kernelDrops() } }]
  }

  private kernelDrops(): Record<string, number> {
    this.look()
    const { drops, before, refused } = this
    if (drops === null) return {}
    return {
      // A refused frame is among the kernel's drops, too.
      kernelDroppedOut: Math.max(0, drops.received - before.received - refused),
      kernelDroppedIn: drops.sent - before.sent,
    }
  }

  /** The counters go with the interface: those seen last stay. */
  private look(): void {
    const drops = this.closed ? 'gone' : tapDrops(this.tap.fd)
    if (drops !== 'gone') this.drops = drops
  }

  account(): WireAccount {
    const { arrived, refused, sent: offered } = this
    const lost = [{ place: this.text, cause: 'refused', frames: refused }]
    return plainAccount({ offered, arrived: arrived - refused, lost })
  }

  close(): void {
    this.look()
    this.closed = true
    this.stopped = true
    this.tap.close()
  }

  private read(target: Bytes): number {
    try {
      return tryRead(this.tap.fd, target.u8, BUFFER_BYTES)
    } catch (error) {
      if (isErrno(error, 'EBADFD', 'EIO')) throw this.gone(error)
      throw error
    }
  }

  private gone(cause: unknown): IxyError {
    const what = `the TAP interface ${this.tap.name} has been deleted`
    return new IxyError('IXY_ERR_DEVICE_GONE', what, 'start again', { cause })
  }
}
