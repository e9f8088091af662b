/** Which queue a frame goes to, and what its descriptor says about that (82599 §7.1.2, §7.1.6.2). */
import { REG } from '../../driver/ixgbe/registers.ts'
import { FlowDirector } from './flow-director.ts'
import type { Interrupts } from './interrupts.ts'
import { type PacketInfo, PacketType } from './packet-info.ts'
import { NO_QUEUE, QueueFilters } from './queue-filters.ts'
import type { CardRegisters } from './registers.ts'
import { Rss } from './rss.ts'
import type { Strict } from './strict.ts'

/** Word 0 of a frame that matched an EtherType filter has this bit and the filter's index in place of the packet type. */
const ETHERTYPE_MATCH = 1 << 15
const ETHERTYPE_INDEX_SHIFT = 4
/** RSS type of a descriptor that has Flow Director's report in place of the hash. */
const RSS_TYPE = 0xf
const FLOW_DIRECTOR_REPORT = 0xf

export class Steering {
  /** False: every frame goes to queue 0, and there is no hash. Kept current when registers are written. */
  enabled = false
  /** Of the frame given to steer() last: its queue, RSS and packet type, RSS hash, and bits of its status word. */
  queue = 0
  word0 = 0
  hash = 0
  status = 0

  private readonly registers: CardRegisters
  private readonly filters: QueueFilters
  private readonly rss: Rss
  private readonly director: FlowDirector
  /** Flow Director was asked about the frame. */
  private directed = false
  /** RXCSUM.PCSD: the descriptor has the hash. */
  private pcsd = false

  constructor(registers: CardRegisters, strict: Strict, interrupts: Interrupts) {
    this.registers = registers
    this.filters = new QueueFilters(registers, () => this.update())
    this.rss = new Rss(registers, strict, () => this.update())
    this.director = new FlowDirector(
      registers,
      strict,
      () => this.update(),
      () => interrupts.raiseOther(REG.EICR.fields.FLOW_DIR.mask),
    )
    registers.onWrite(REG.RXCSUM, (value) => {
      registers.set(REG.RXCSUM, value)
      this.update()
    })
    registers.onWrite(REG.PFVTCTL, (value) => {
      registers.set(REG.PFVTCTL, value)
      if ((value & REG.PFVTCTL.fields.VT_ENA.mask) !== 0)
        strict.report('8.2.3.27.1', 'PFVTCTL.VT_ENA set on a card that has no pools')
    })
  }

  reset(): void {
    this.filters.reset()
    this.rss.reset()
    this.director.reset()
    this.update()
  }

  private update(): void {
    this.enabled = this.rss.enabled || this.filters.enabled || this.director.enabled
    this.pcsd = this.registers.test(REG.RXCSUM, REG.RXCSUM.fields.PCSD.mask)
  }

  /**
   * Chooses the queue of a parsed frame of `length` bytes: by the queue filters, then Flow Director, and if none of them does,
   * by RSS (82599 §7.1.2.1).
   */
  steer(u8: Uint8Array, offset: number, length: number, info: PacketInfo): void {
    this.queue = 0
    this.word0 = info.type
    this.hash = 0
    this.status = 0
    this.directed = false
    if (!this.enabled) return
    const { rss, filters } = this
    if (rss.enabled) {
      rss.classify(u8, offset, info)
      this.queue = rss.queue
    }
    let queue = NO_QUEUE
    if (filters.enabled) {
      queue = filters.match(u8, offset, info)
      if (queue !== NO_QUEUE) this.queue = queue
      if (filters.etherType >= 0) this.word0 = ETHERTYPE_MATCH | (filters.etherType << ETHERTYPE_INDEX_SHIFT)
    }
    if (rss.enabled && this.pcsd) {
      this.word0 |= rss.rssType
      this.hash = rss.hash
    }
    if (queue === NO_QUEUE && this.director.enabled) this.direct(u8, offset, length, info)
  }

  /** Only IP packets are candidates (82599 §7.1.2.7). */
  private direct(u8: Uint8Array, offset: number, length: number, info: PacketInfo): void {
    if ((info.type & (PacketType.IPV4 | PacketType.IPV6)) === 0) return
    const { director } = this
    director.match(u8, offset, length, info)
    this.directed = true
    this.status = director.status
    if (director.queue !== NO_QUEUE) this.queue = director.queue
    if (director.reported && this.pcsd) {
      this.word0 = (this.word0 & ~RSS_TYPE) | FLOW_DIRECTOR_REPORT
      this.hash = director.report
    }
  }

  /** What has become of the frame given to steer() last is certain: it is counted, once, also if it had to wait. */
  settle(): void {
    if (this.directed) this.director.settle()
  }
}
