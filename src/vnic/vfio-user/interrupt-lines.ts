/** The client's eventfds: where the device's interrupts go (DEVICE_SET_IRQS). */
import { close } from '../../linux/file.ts'
import { isEventFd, prepareToRing, ringEventFd } from '../../linux/foreign-eventfd.ts'
import { Irq, IrqFlag, type IrqInfo, type IrqSet, IrqSetFlag } from '../../pci/vfio-user/protocol.ts'
import { Errno, Refusal } from './refusal.ts'

const DATA = IrqSetFlag.DATA_NONE | IrqSetFlag.DATA_BOOL | IrqSetFlag.DATA_EVENTFD
const ACTION = IrqSetFlag.ACTION_MASK | IrqSetFlag.ACTION_UNMASK | IrqSetFlag.ACTION_TRIGGER

/** What the lines need of their device. */
export interface InterruptSource {
  /** Vectors of MSI-X. */
  readonly vectors: number
  /** The MSI-X pending bits, for vectors that nobody listens to. */
  readonly pending: () => Uint8Array
  /** COMMAND.Interrupt Disable is set. */
  readonly intxDisabled: () => boolean
  /** Called when the client can take an interrupt again that may still be pending. */
  readonly onUnmask: () => void
}

export class InterruptLines {
  private readonly source: InterruptSource
  private readonly intx = [-1]
  private readonly msi = [-1]
  private readonly msix: number[]
  private readonly unused = [-1]
  private intxMasked = false

  constructor(source: InterruptSource) {
    this.source = source
    this.msix = new Array<number>(source.vectors).fill(-1)
  }

  info(index: number): IrqInfo {
    const count = this.lines(index).length
    const line = index === Irq.INTX ? IrqFlag.MASKABLE | IrqFlag.AUTOMASKED : IrqFlag.NORESIZE
    return { flags: IrqFlag.EVENTFD | line, index, count }
  }

  /** `vector` is 0 unless MSI-X is in use. An INTx stays masked until the client has dealt with it. */
  signal(vector: number): void {
    const fd = this.msix[vector]
    if (fd !== -1) return notify(fd)
    if (vector === 0 && this.msi[0] !== -1) return notify(this.msi[0])
    if (vector === 0 && this.intx[0] !== -1) {
      if (this.intxMasked || this.source.intxDisabled()) return
      this.intxMasked = true
      return notify(this.intx[0])
    }
    this.source.pending()[vector >> 3] |= 1 << (vector & 7)
  }

  /** Takes over descriptors of `fds`, which is left with those that were not used. */
  set(request: IrqSet, fds: number[]): void {
    const { flags, index, start, count } = request
    const lines = this.lines(index)
    const total = lines.length
    if ((flags & ~(DATA | ACTION)) !== 0 || start > total || count > total - start)
      throw new Refusal(Errno.EINVAL, `interrupts ${start} to ${start + count} of type ${index}`)
    if ((flags & IrqSetFlag.ACTION_MASK) !== 0) {
      if (index === Irq.INTX) this.intxMasked = true
    } else if ((flags & IrqSetFlag.ACTION_UNMASK) !== 0) {
      if (index === Irq.INTX) this.intxMasked = false
      this.source.onUnmask()
    } else if ((flags & IrqSetFlag.ACTION_TRIGGER) !== 0) this.trigger(lines, request, fds)
    else throw new Refusal(Errno.EINVAL, 'SET_IRQS without an action')
  }

  private lines(index: number): number[] {
    switch (index) {
      case Irq.INTX:
        return this.intx
      case Irq.MSI:
        return this.msi
      case Irq.MSIX:
        return this.msix
      case Irq.ERR:
      case Irq.REQ:
        return this.unused
      default:
        throw new Refusal(Errno.EINVAL, `interrupt type ${index}`)
    }
  }

  private trigger(lines: number[], { flags, index, start, count, data }: IrqSet, fds: number[]): void {
    if ((flags & IrqSetFlag.DATA_EVENTFD) !== 0) {
      if (fds.length !== 0 && fds.length !== count)
        throw new Refusal(Errno.EINVAL, `${fds.length} eventfds for ${count} interrupts`)
      if (!fds.every(isEventFd)) throw new Refusal(Errno.EINVAL, 'an interrupt that is not an eventfd')
      if (fds.length > 0) prepareToRing()
      const taken = fds.splice(0)
      for (let i = 0; i < count; i++) this.assign(lines, start + i, taken[i] ?? -1)
      if (index === Irq.INTX) this.intxMasked = false
      this.releasePending(index, start, count)
    } else if ((flags & IrqSetFlag.DATA_NONE) !== 0 && count === 0) {
      for (let i = 0; i < lines.length; i++) this.assign(lines, i, -1)
    } else {
      // The client tries its own eventfds.
      for (let i = 0; i < count; i++) {
        const wanted = (flags & IrqSetFlag.DATA_NONE) !== 0 || data[i] !== 0
        const fd = lines[start + i]
        if (wanted && fd !== -1) notify(fd)
      }
    }
  }

  private assign(lines: number[], index: number, fd: number): void {
    if (lines[index] !== -1) close(lines[index])
    lines[index] = fd
  }

  /** Vectors that fired while nobody listened fire now. */
  private releasePending(index: number, start: number, count: number): void {
    if (index !== Irq.MSIX) return this.source.onUnmask()
    const pending = this.source.pending()
    for (let vector = start; vector < start + count; vector++) {
      const at = vector >> 3
      const bit = 1 << (vector & 7)
      if ((pending[at] & bit) === 0 || this.msix[vector] === -1) continue
      pending[at] &= ~bit
      notify(this.msix[vector])
    }
  }

  /** Closes all eventfds. */
  clear(): void {
    for (const lines of [this.intx, this.msi, this.msix, this.unused])
      for (let i = 0; i < lines.length; i++) this.assign(lines, i, -1)
    this.intxMasked = false
  }
}

/** The client may have filled the eventfd, and made it one that blocks: it is rung in a way that never waits. */
function notify(fd: number): void {
  try {
    ringEventFd(fd)
  } catch {
    // The kernel is short of memory: the interrupt is lost, as a real one can be.
  }
}
