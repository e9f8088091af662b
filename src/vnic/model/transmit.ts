/** The transmit path: queues in turn, towards the wire (82599 §7.2). */
import { REG } from '../../driver/ixgbe/registers.ts'
import { Burst } from '../burst.ts'
import type { DmaMap } from './dma.ts'
import type { Interrupts } from './interrupts.ts'
import type { CardRegisters } from './registers.ts'
import { hookRings } from './ring.ts'
import { counterSet, type Statistics, Sum } from './statistics.ts'
import type { Strict } from './strict.ts'
import { type Egress, TX_REGISTERS, TxQueue } from './tx-queue.ts'

export class Transmit {
  readonly queues: readonly TxQueue[]
  /** Frames go out: the link is up and the host lets the card master the bus. Set by the device. */
  open = false
  /** The link partner doesn't want frames before then, milliseconds on the clock of poll(). */
  pausedUntil = 0
  private readonly registers: CardRegisters
  private readonly dma: DmaMap
  private readonly statistics: Statistics
  private readonly interrupts: Interrupts
  private readonly burst = new Burst()
  private active: TxQueue[] = []
  /** Which active queue is served first in the next poll. */
  private turn = 0

  constructor(
    registers: CardRegisters,
    dma: DmaMap,
    statistics: Statistics,
    interrupts: Interrupts,
    strict: Strict,
  ) {
    this.registers = registers
    this.dma = dma
    this.statistics = statistics
    this.interrupts = interrupts
    this.queues = Array.from(
      { length: REG.TXDCTL.count },
      (_, index) => new TxQueue(index, registers, dma, strict, this.burst),
    )
    hookRings(TX_REGISTERS, this.queues, registers, strict, () => this.collect())
    registers.onWrite(REG.MTQC, (value) => {
      const arbiterOff = registers.test(REG.RTTDCS, REG.RTTDCS.fields.ARBDIS.mask)
      if (!arbiterOff && value !== registers.get(REG.MTQC))
        strict.report('8.2.3.9.15', 'MTQC changed while RTTDCS.ARBDIS is clear')
      registers.set(REG.MTQC, value)
    })
    registers.onWrite(REG.DMATXCTL, (value) => {
      registers.set(REG.DMATXCTL, value)
      this.collect()
    })
  }

  private collect(): void {
    const on = this.registers.test(REG.DMATXCTL, REG.DMATXCTL.fields.TE.mask)
    this.active = on ? this.queues.filter((queue) => queue.enabled) : []
  }

  reset(): void {
    for (const queue of this.queues) queue.reset()
    this.active = []
    this.pausedUntil = 0
  }

  /** Packets that could not be sent, since the model was made. */
  get invalid(): number {
    return this.queues.reduce((sum, queue) => sum + queue.invalid, 0)
  }

  invalidate(): void {
    // Also those that rest: they may go on later.
    for (const queue of this.queues) queue.invalidate()
  }

  /**
   * Lets each queue spend up to `budget`, and all together not much more than `limit` (TxQueue.spent): the others' turn
   * comes with the next poll. Returns what was spent.
   */
  poll(egress: Egress, budget: number, limit: number, now: number): number {
    if (!this.open || now < this.pausedUntil) return 0
    const { active } = this
    const count = active.length
    if (count === 0) return 0
    const pad = this.registers.test(REG.HLREG0, REG.HLREG0.fields.TXPADEN.mask)
    let spent = 0
    // As many of them as are looked at, so that the next poll begins behind the last one.
    let looked = 1
    for (let i = 0; i < count && spent < limit; i++) {
      const queue = active[(this.turn + i) % count]
      queue.run(egress, budget, pad, now)
      if (queue.spent > 0) {
        spent += queue.spent
        this.finish(queue)
      }
      if (spent >= limit) looked = i + 1
    }
    this.turn = (this.turn + looked) % count
    return spent
  }

  /** Head, write-back, counters, interrupt. */
  private finish(queue: TxQueue): void {
    const { registers } = this
    const { index } = queue
    queue.publishHead()
    if (queue.sums[Sum.PACKETS] > 0)
      this.statistics.addTransmitted(queue.sums, counterSet(registers, REG.TQSM, index))
    if (!queue.statusReported) return
    const low = registers.get(REG.TDWBAL, index)
    if ((low & REG.TDWBAL.fields.HEAD_WB_EN.mask) !== 0)
      this.writeHead(queue, (low & ~3) >>> 0, registers.get(REG.TDWBAH, index))
    this.interrupts.queueEvent(true, index)
  }

  /** Head write-back (82599 §7.2.3.5.2). */
  private writeHead(queue: TxQueue, low: number, high: number): void {
    const iova = low + high * 2 ** 32
    const region = this.dma.access(iova, 4, true, 'transmit head write-back')
    if (region !== null)
      Atomics.store(region.bytes.u32, (iova - region.iova + region.origin) >>> 2, queue.head)
  }
}
