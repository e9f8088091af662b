/** Which queue a frame goes to, and what its descriptor says about that (82599 §7.1.2, §7.1.6.2). */
import { REG } from '../../driver/ixgbe/registers.ts'
import type { PacketInfo } from './packet-info.ts'
import { NO_QUEUE, QueueFilters } from './queue-filters.ts'
import type { CardRegisters } from './registers.ts'
import { Rss } from './rss.ts'

/** Word 0 of a frame that matched an EtherType filter has this bit and the filter's index in place of the packet type. */
const ETHERTYPE_MATCH = 1 << 15
const ETHERTYPE_INDEX_SHIFT = 4

export class Steering {
  /** False: every frame goes to queue 0, and there is no hash. Kept current when registers are written. */
  enabled = false
  /** Of the frame given to steer() last: its queue, RSS and packet type, and RSS hash. */
  queue = 0
  word0 = 0
  hash = 0

  private readonly registers: CardRegisters
  private readonly filters: QueueFilters
  private readonly rss: Rss
  /** RXCSUM.PCSD: the descriptor has the hash. */
  private pcsd = false

  constructor(registers: CardRegisters) {
    this.registers = registers
    this.filters = new QueueFilters(registers, () => this.update())
    this.rss = new Rss(registers, () => this.update())
    registers.onWrite(REG.RXCSUM, (value) => {
      registers.set(REG.RXCSUM, value)
      this.update()
    })
  }

  reset(): void {
    this.filters.reset()
    this.rss.reset()
    this.update()
  }

  private update(): void {
    this.enabled = this.rss.enabled || this.filters.enabled
    this.pcsd = this.registers.test(REG.RXCSUM, REG.RXCSUM.fields.PCSD.mask)
  }

  /** Chooses the queue of a parsed frame: by the filters, and if none of them does, by RSS (82599 §7.1.2.1). */
  steer(u8: Uint8Array, offset: number, info: PacketInfo): void {
    this.queue = 0
    this.word0 = info.type
    this.hash = 0
    if (!this.enabled) return
    const { rss, filters } = this
    if (rss.enabled) {
      rss.classify(u8, offset, info)
      this.queue = rss.queue
    }
    if (filters.enabled) {
      const queue = filters.match(u8, offset, info)
      if (queue !== NO_QUEUE) this.queue = queue
      if (filters.etherType >= 0) this.word0 = ETHERTYPE_MATCH | (filters.etherType << ETHERTYPE_INDEX_SHIFT)
    }
    if (rss.enabled && this.pcsd) {
      this.word0 |= rss.rssType
      this.hash = rss.hash
    }
  }
}
