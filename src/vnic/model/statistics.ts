/**
 * The statistics registers (82599 §8.2.3.23).
 *
 * Counters are doubles in one array, so that the data path adds to them without allocating and 64-bit octet counters
 * stay exact. A host read clears: 32-bit counters stick at 2^32 - 1; of the 36-bit ones, reading the low word takes
 * the whole counter and keeps the high word for the read that follows.
 */
import { FRAME_ROOM } from '../burst.ts'
import type { Register } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { FCS_BYTES, MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import type { CardRegisters } from './registers.ts'

const MAX_32 = 2 ** 32 - 1
const MAX_36 = 2 ** 36 - 1

const NARROW: readonly Register[] = [
  REG.PRC64,
  REG.PRC127,
  REG.PRC255,
  REG.PRC511,
  REG.PRC1023,
  REG.PRC1522,
  REG.PTC64,
  REG.PTC127,
  REG.PTC255,
  REG.PTC511,
  REG.PTC1023,
  REG.PTC1522,
  REG.GPRC,
  REG.BPRC,
  REG.MPRC,
  REG.GPTC,
  REG.BPTC,
  REG.MPTC,
  REG.TPR,
  REG.TPT,
  REG.RXNFGPC,
  REG.RXDGPC,
  REG.TXDGPC,
  REG.RXLPBKGPC,
  REG.RUC,
  REG.ROC,
  REG.XEC,
  REG.LXONTXC,
  REG.LXOFFTXC,
  REG.LXONRXCNT,
  REG.LXOFFRXCNT,
  REG.PXONRXCNT,
  REG.PXOFFRXCNT,
  REG.MPC,
  REG.QPRC,
  REG.QPRDC,
  REG.QPTC,
]

const WIDE: readonly (readonly [low: Register, high: Register])[] = [
  [REG.GORCL, REG.GORCH],
  [REG.GOTCL, REG.GOTCH],
  [REG.TORL, REG.TORH],
  [REG.RXNFGBCL, REG.RXNFGBCH],
  [REG.RXDGBCL, REG.RXDGBCH],
  [REG.TXDGBCL, REG.TXDGBCH],
  [REG.RXLPBKGBCL, REG.RXLPBKGBCH],
  [REG.QBRC_L, REG.QBRC_H],
  [REG.QBTC_L, REG.QBTC_H],
]

const slots = new Map<Register, number>()
let slotCount = 0
;[...NARROW, ...WIDE.map(([low]) => low)].forEach((register) => {
  slots.set(register, slotCount)
  slotCount += register.count
})

/** Where a counter is in `Statistics.counters`; of an array of registers, its first. Wide ones by their low word. */
export function slotOf(register: Register): number {
  const slot = slots.get(register)
  if (slot === undefined) throw new RangeError(`${register.name} is not a counter of the model`)
  return slot
}

/** Size class 0…5 by frame length without FCS: how far PRC64 is from the counter for this length. */
export const SIZE_CLASS = new Uint8Array(FRAME_ROOM + 1).fill(5)
;[1023, 511, 255, 127, 64].forEach((longest, i) => SIZE_CLASS.fill(4 - i, 0, longest - FCS_BYTES + 1))

/** Per-batch sums of one queue: the data path adds to these integers, `Statistics` takes them over once per poll. */
export const Sum = { PACKETS: 0, BYTES: 1, MULTICAST: 2, BROADCAST: 3, SIZES: 4 } as const
export const SUMS = Sum.SIZES + 6

/** Which sum a frame to a group address belongs to. */
export function castSum(u8: Uint8Array, offset: number): number {
  for (let i = 0; i < 6; i++) if (u8[offset + i] !== 0xff) return Sum.MULTICAST
  return Sum.BROADCAST
}

/** RQSMR, TQSM: which set of counters a queue has. Four queues per register, a byte each (82599 §8.2.3.23.71). */
export function counterSet(registers: CardRegisters, mapping: Register, queue: number): number {
  return (registers.get(mapping, queue >> 2) >>> ((queue & 3) << 3)) & 0xf
}

export class Statistics {
  readonly counters = new Float64Array(slotCount)
  /** What the host has read, and so cleared, or reset. */
  private readonly taken = new Float64Array(slotCount)

  constructor(registers: CardRegisters) {
    const { counters, taken } = this
    for (const register of NARROW) {
      const slot = slotOf(register)
      registers.onRead(register, (index) => {
        const value = Math.min(counters[slot + index], MAX_32)
        taken[slot + index] += counters[slot + index]
        counters[slot + index] = 0
        return value
      })
    }
    for (const [low, high] of WIDE) {
      const slot = slotOf(low)
      registers.onRead(low, (index) => {
        const value = Math.min(counters[slot + index], MAX_36)
        taken[slot + index] += counters[slot + index]
        counters[slot + index] = 0
        registers.set(high, Math.floor(value / 2 ** 32), index)
        return value % 2 ** 32
      })
    }
  }

  reset(): void {
    const { counters, taken } = this
    for (let slot = 0; slot < slotCount; slot++) taken[slot] += counters[slot]
    counters.fill(0)
  }

  /** What a register has counted since the model was made, whatever the host has read; of an array, all of it. */
  total(register: Register): number {
    const slot = slotOf(register)
    let total = 0
    for (let i = slot; i < slot + register.count; i++) total += this.taken[i] + this.counters[i]
    return total
  }

  add(register: Register, amount = 1, index = 0): void {
    this.counters[slotOf(register) + index] += amount
  }

  /**
   * A PAUSE frame that the MAC has sent; `register` says of which kind. It is in all counters of transmitted packets as well
   * but those of the DMA, which hasn't seen it: Linux subtracts it from them.
   */
  addPause(register: Register): void {
    const { counters } = this
    counters[slotOf(register)]++
    counters[GPTC]++
    counters[GOTCL] += MIN_FRAME_BYTES + FCS_BYTES
    counters[TPT]++
    counters[MPTC]++
    counters[PTC64]++
  }

  /** Packets and bytes that arrived at the MAC, whatever became of them; zeroes the sums. */
  addArrivals(sums: Int32Array): void {
    const { counters } = this
    const octets = sums[1] + sums[0] * FCS_BYTES
    counters[TPR] += sums[0]
    counters[TORL] += octets
    counters[RXNFGPC] += sums[0]
    counters[RXNFGBCL] += octets
    sums.fill(0)
  }

  /** Takes over what one receive queue has put into host memory, and zeroes it. `set` is its RQSMR mapping. */
  addReceived(sums: Int32Array, set: number, crcStripped: boolean): void {
    const { counters } = this
    const packets = sums[Sum.PACKETS]
    const octets = sums[Sum.BYTES] + packets * FCS_BYTES
    const dma = crcStripped ? sums[Sum.BYTES] : octets
    counters[GPRC] += packets
    counters[GORCL] += octets
    counters[RXDGPC] += packets
    counters[RXDGBCL] += dma
    counters[QPRC + set] += packets
    counters[QBRC + set] += dma
    counters[MPRC] += sums[Sum.MULTICAST]
    counters[BPRC] += sums[Sum.BROADCAST]
    for (let i = 0; i < 6; i++) counters[PRC64 + i] += sums[Sum.SIZES + i]
    sums.fill(0)
  }

  /** As addReceived, for one transmit queue; `set` is its TQSM mapping. */
  addTransmitted(sums: Int32Array, set: number): void {
    const { counters } = this
    const packets = sums[Sum.PACKETS]
    const octets = sums[Sum.BYTES] + packets * FCS_BYTES
    counters[GPTC] += packets
    counters[GOTCL] += octets
    counters[TPT] += packets
    counters[TXDGPC] += packets
    counters[TXDGBCL] += sums[Sum.BYTES]
    counters[QPTC + set] += packets
    counters[QBTC + set] += sums[Sum.BYTES]
    counters[MPTC] += sums[Sum.MULTICAST]
    counters[BPTC] += sums[Sum.BROADCAST]
    for (let i = 0; i < 6; i++) counters[PTC64 + i] += sums[Sum.SIZES + i]
    sums.fill(0)
  }
}

const TPR = slotOf(REG.TPR)
const TPT = slotOf(REG.TPT)
const TORL = slotOf(REG.TORL)
const RXNFGPC = slotOf(REG.RXNFGPC)
const RXNFGBCL = slotOf(REG.RXNFGBCL)
const GPRC = slotOf(REG.GPRC)
const GORCL = slotOf(REG.GORCL)
const MPRC = slotOf(REG.MPRC)
const BPRC = slotOf(REG.BPRC)
const PRC64 = slotOf(REG.PRC64)
const RXDGPC = slotOf(REG.RXDGPC)
const RXDGBCL = slotOf(REG.RXDGBCL)
const QPRC = slotOf(REG.QPRC)
const QBRC = slotOf(REG.QBRC_L)
const GPTC = slotOf(REG.GPTC)
const GOTCL = slotOf(REG.GOTCL)
const MPTC = slotOf(REG.MPTC)
const BPTC = slotOf(REG.BPTC)
const PTC64 = slotOf(REG.PTC64)
const TXDGPC = slotOf(REG.TXDGPC)
const TXDGBCL = slotOf(REG.TXDGBCL)
const QPTC = slotOf(REG.QPTC)
const QBTC = slotOf(REG.QBTC_L)
