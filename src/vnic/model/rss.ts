/**
 * Receive side scaling (82599 §7.1.2.8): a Toeplitz hash over the addresses decides on the queue.
 *
 * The hash is the exclusive or of one 32-bit window of the key for each set bit of the input. A table of the window
 * combinations of every byte value at every position turns that into one look-up per byte.
 */
import { REG } from '../../driver/ixgbe/registers.ts'
import { get, type Register } from '../../driver/intel/register.ts'
import { type PacketInfo, PacketType } from './packet-info.ts'
import type { CardRegisters } from './registers.ts'
import type { Strict } from './strict.ts'

/** IPv6 addresses and ports. */
const INPUT_BYTES = 36
const KEY_BYTES = 40

const MRQC = REG.MRQC.fields
/** RSS in MRQC.MRQE without DCB or virtualisation; the RSS modes with DCB are not modelled. */
const MRQE_RSS = 1

/** RSS type in word 0 of the write-back descriptor (82599 §7.1.6.2). */
const RssType = { NONE: 0, TCP_IPV4: 1, IPV4: 2, TCP_IPV6: 3, IPV6: 5, UDP_IPV4: 7, UDP_IPV6: 8 } as const

export class Rss {
  /** Of the packet given to classify() last. */
  hash = 0
  rssType = 0
  queue = 0
  /** False: every packet goes to queue 0 without a hash. */
  enabled = false

  private readonly registers: CardRegisters
  private readonly table = new Uint32Array(INPUT_BYTES * 256)
  private readonly redirection = new Uint8Array(128)
  private tableIsCurrent = false
  private mrqc = 0

  /** `onChange` is called when it may have been switched on or off. */
  constructor(registers: CardRegisters, strict: Strict, onChange: () => void) {
    this.registers = registers
    const store = (register: Register, after: () => void): void =>
      registers.onWrite(register, (value, index) => {
        registers.set(register, value, index)
        after()
      })
    store(REG.MRQC, () => {
      if (get(MRQC.MRQE, registers.get(REG.MRQC)) > MRQE_RSS)
        strict.report('8.2.3.7.12', 'MRQC.MRQE with traffic classes or pools, which this card does not have')
      this.update()
      onChange()
    })
    store(REG.RETA, () => this.update())
    store(REG.RSSRK, () => (this.tableIsCurrent = false))
  }

  reset(): void {
    this.tableIsCurrent = false
    this.update()
  }

  private update(): void {
    const { registers, redirection } = this
    this.mrqc = registers.get(REG.MRQC)
    this.enabled = (this.mrqc & MRQC.MRQE.mask) === MRQE_RSS
    for (let i = 0; i < 128; i++) redirection[i] = (registers.get(REG.RETA, i >> 2) >>> ((i & 3) << 3)) & 0xf
  }

  private buildTable(): void {
    const key = new Uint8Array(KEY_BYTES + 4)
    for (let i = 0; i < KEY_BYTES; i++) key[i] = this.registers.get(REG.RSSRK, i >> 2) >>> ((i & 3) << 3)
    for (let byte = 0; byte < INPUT_BYTES; byte++) {
      const base = byte << 8
      const head = ((key[byte] << 24) | (key[byte + 1] << 16) | (key[byte + 2] << 8) | key[byte + 3]) >>> 0
      for (let value = 1; value < 256; value++) {
        // The window for the bit at position `leading` of this byte, combined with that of the remaining bits.
        const leading = Math.clz32(value) - 24
        const window = leading === 0 ? head : ((head << leading) | (key[byte + 4] >>> (8 - leading))) >>> 0
        const rest = value & ~(0x80 >> leading)
        this.table[base + value] = (window ^ this.table[base + rest]) >>> 0
      }
    }
    this.tableIsCurrent = true
  }

  /** Hashes a parsed frame and chooses its queue. */
  classify(u8: Uint8Array, offset: number, info: PacketInfo): void {
    this.hash = 0
    this.rssType = RssType.NONE
    this.queue = 0
    if ((info.type & (PacketType.IPV4 | PacketType.IPV6)) === 0) return
    if (!this.tableIsCurrent) this.buildTable()
    const { mrqc } = this
    const v4 = (info.type & PacketType.IPV4) !== 0
    const addresses = offset + info.l3 + (v4 ? 12 : 8)
    const addressBytes = v4 ? 8 : 32
    let type: number = RssType.NONE
    let ports = false
    if (
      (info.type & PacketType.TCP) !== 0 &&
      (mrqc & (v4 ? MRQC.RSS_TCP_IPV4.mask : MRQC.RSS_TCP_IPV6.mask)) !== 0
    ) {
      type = v4 ? RssType.TCP_IPV4 : RssType.TCP_IPV6
      ports = true
    } else if (
      (info.type & PacketType.UDP) !== 0 &&
      (mrqc & (v4 ? MRQC.RSS_UDP_IPV4.mask : MRQC.RSS_UDP_IPV6.mask)) !== 0
    ) {
      type = v4 ? RssType.UDP_IPV4 : RssType.UDP_IPV6
      ports = true
    } else if ((mrqc & (v4 ? MRQC.RSS_IPV4.mask : MRQC.RSS_IPV6.mask)) !== 0)
      type = v4 ? RssType.IPV4 : RssType.IPV6
    if (type === RssType.NONE) return

    const { table } = this
    let hash = 0
    for (let i = 0; i < addressBytes; i++) hash ^= table[(i << 8) | u8[addresses + i]]
    if (ports) {
      const at = offset + info.l4
      for (let i = 0; i < 4; i++) hash ^= table[((addressBytes + i) << 8) | u8[at + i]]
    }
    this.hash = hash >>> 0
    this.rssType = type
    this.queue = this.redirection[hash & 0x7f]
  }
}
