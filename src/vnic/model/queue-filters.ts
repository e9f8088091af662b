/**
 * Filters that choose the receive queue of a frame: EtherType (82599 §7.1.2.3), TCP SYN (§7.1.2.6), L3/L4 5-tuple (§7.1.2.5).
 *
 * They are asked in this order: EtherType; then SYN and 5-tuple, which of them first by SYNQF.SYNQFP (§7.1.2.1).
 * Low latency interrupts (ETQS.LLI, L34TIMIR.LLI), pools and what an EtherType filter says about FCoE are not modelled; what it
 * says about IEEE 1588 is in time-sync.ts.
 */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { type PacketInfo, PacketType } from './packet-info.ts'
import type { CardRegisters } from './registers.ts'

/** No filter has chosen a queue. */
export const NO_QUEUE = -1

const ETQF = REG.ETQF.fields
const ETQS = REG.ETQS.fields
const FTQF = REG.FTQF.fields
const SYNQF = REG.SYNQF.fields

const MASK_ALL =
  FTQF.MASK_SOURCE.mask |
  FTQF.MASK_DESTINATION.mask |
  FTQF.MASK_SOURCE_PORT.mask |
  FTQF.MASK_DESTINATION_PORT.mask |
  FTQF.MASK_PROTOCOL.mask

const { TCP, UDP, SCTP } = PacketType
const L4_TYPES = TCP | UDP | SCTP
/** FTQF.PROTOCOL: packet type that it stands for; 3 is any other protocol. */
const PROTOCOLS = [TCP, UDP, SCTP, 0]
/** The flags in a TCP header. */
const FLAGS_AT = 13
const SYN = 0x02

interface EtherTypeFilter {
  readonly index: number
  readonly etherType: number
  /** 802.1Q priority that the frame must have; -1: any, or none. */
  readonly priority: number
  readonly queue: number
}

/** A field that isn't compared has the filter's mask bit. Addresses and ports: the first byte on the wire is the lowest. */
interface TupleFilter {
  readonly mask: number
  readonly source: number
  readonly destination: number
  readonly sourcePort: number
  readonly destinationPort: number
  readonly type: number
  readonly priority: number
  readonly queue: number
}

export class QueueFilters {
  /** Any filter is on. */
  enabled = false
  /** Index of the EtherType filter that the frame given to match() last has matched; -1: none. */
  etherType = -1

  private readonly registers: CardRegisters
  private readonly onChange: () => void
  private etherTypes: readonly EtherTypeFilter[] = []
  /** By falling priority. */
  private tuples: readonly TupleFilter[] = []
  private synQueue = NO_QUEUE
  private synFirst = false

  /** `onChange` is called when a filter has changed. */
  constructor(registers: CardRegisters, onChange: () => void) {
    this.registers = registers
    this.onChange = onChange
    for (const register of [REG.ETQF, REG.ETQS, REG.SYNQF]) {
      registers.onWrite(register, (value, index) => {
        registers.set(register, value, index)
        this.update()
      })
    }
    for (const register of [REG.SAQF, REG.DAQF, REG.SDPQF, REG.FTQF, REG.L34TIMIR]) {
      registers.onWrite(register, (value, index) => {
        const { mask } = FTQF.QUEUE_ENABLE
        const before = registers.test(REG.FTQF, mask, index)
        registers.set(register, value, index)
        // One that is off and stays off changes nothing.
        if (before || registers.test(REG.FTQF, mask, index)) this.updateTuples()
      })
    }
  }

  reset(): void {
    this.updateTuples()
    this.update()
  }

  private update(): void {
    const synqf = this.registers.get(REG.SYNQF)
    this.synQueue = (synqf & SYNQF.QUEUE_ENABLE.mask) === 0 ? NO_QUEUE : get(SYNQF.RX_QUEUE, synqf)
    this.synFirst = (synqf & SYNQF.SYNQFP.mask) !== 0
    this.etherTypes = Array.from({ length: REG.ETQF.count }, (_, index) => index)
      .filter((index) => this.registers.test(REG.ETQF, ETQF.FILTER_ENABLE.mask, index))
      .map((index) => this.etherTypeFilter(index))
    this.changed()
  }

  private updateTuples(): void {
    // Sorting is stable: of those with one priority, which software must not let match the same packet, the first wins.
    this.tuples = Array.from({ length: REG.FTQF.count }, (_, index) => index)
      .filter((index) => this.routes(index))
      .map((index) => this.tupleFilter(index))
      .sort((a, b) => b.priority - a.priority)
    this.changed()
  }

  private changed(): void {
    this.enabled = this.synQueue !== NO_QUEUE || this.etherTypes.length > 0 || this.tuples.length > 0
    this.onChange()
  }

  private etherTypeFilter(index: number): EtherTypeFilter {
    const etqf = this.registers.get(REG.ETQF, index)
    const etqs = this.registers.get(REG.ETQS, index)
    return {
      index,
      etherType: get(ETQF.ETYPE, etqf),
      priority: (etqf & ETQF.UP_EN.mask) === 0 ? -1 : get(ETQF.UP, etqf),
      queue: (etqs & ETQS.QUEUE_ENABLE.mask) === 0 ? NO_QUEUE : get(ETQS.RX_QUEUE, etqs),
    }
  }

  /** A filter that compares nothing is not used (82599 §7.1.2.5). */
  private routes(index: number): boolean {
    const ftqf = this.registers.get(REG.FTQF, index)
    return (ftqf & FTQF.QUEUE_ENABLE.mask) !== 0 && (ftqf & MASK_ALL) !== MASK_ALL
  }

  private tupleFilter(index: number): TupleFilter {
    const { registers } = this
    const ftqf = registers.get(REG.FTQF, index)
    const ports = registers.get(REG.SDPQF, index)
    return {
      mask: ftqf & MASK_ALL,
      // As the packet's are put together: signed.
      source: registers.get(REG.SAQF, index) | 0,
      destination: registers.get(REG.DAQF, index) | 0,
      sourcePort: get(REG.SDPQF.fields.SOURCE, ports),
      destinationPort: get(REG.SDPQF.fields.DESTINATION, ports),
      type: PROTOCOLS[get(FTQF.PROTOCOL, ftqf)],
      priority: get(FTQF.PRIORITY, ftqf),
      queue: get(REG.L34TIMIR.fields.RX_QUEUE, registers.get(REG.L34TIMIR, index)),
    }
  }

  /** The queue that the filters choose for a parsed frame, or NO_QUEUE. */
  match(u8: Uint8Array, offset: number, info: PacketInfo): number {
    const byType = this.matchEtherType(info)
    if (byType !== NO_QUEUE || (info.type & (PacketType.IPV4 | PacketType.IPV6)) === 0) return byType
    const bySyn = this.matchSyn(u8, offset, info)
    if (this.synFirst && bySyn !== NO_QUEUE) return bySyn
    const byTuple = this.tuples.length > 0 ? this.matchTuple(u8, offset, info) : NO_QUEUE
    return byTuple !== NO_QUEUE ? byTuple : bySyn
  }

  private matchEtherType(info: PacketInfo): number {
    this.etherType = -1
    for (const filter of this.etherTypes) {
      if (filter.etherType !== info.etherType) continue
      // A frame without a tag has no priority: vlan is -1, and so is what is left of it.
      if (filter.priority >= 0 && filter.priority !== info.vlan >> 13) continue
      this.etherType = filter.index
      return filter.queue
    }
    return NO_QUEUE
  }

  private matchSyn(u8: Uint8Array, offset: number, info: PacketInfo): number {
    const isSyn = (info.type & TCP) !== 0 && (u8[offset + info.l4 + FLAGS_AT] & SYN) !== 0
    return isSyn ? this.synQueue : NO_QUEUE
  }

  private matchTuple(u8: Uint8Array, offset: number, info: PacketInfo): number {
    const v4 = (info.type & PacketType.IPV4) !== 0
    const type = info.type & L4_TYPES
    const source = v4 ? word(u8, offset + info.l3 + 12) : 0
    const destination = v4 ? word(u8, offset + info.l3 + 16) : 0
    const sourcePort = type === 0 ? -1 : half(u8, offset + info.l4)
    const destinationPort = type === 0 ? -1 : half(u8, offset + info.l4 + 2)
    for (const filter of this.tuples) {
      const { mask } = filter
      // A packet of IPv6 misses every filter that compares an address.
      if ((mask & FTQF.MASK_SOURCE.mask) === 0 && (!v4 || filter.source !== source)) continue
      if ((mask & FTQF.MASK_DESTINATION.mask) === 0 && (!v4 || filter.destination !== destination)) continue
      // Of a fragment neither the protocol nor the ports are known.
      if ((mask & FTQF.MASK_PROTOCOL.mask) === 0 && (info.fragment || filter.type !== type)) continue
      if ((mask & FTQF.MASK_SOURCE_PORT.mask) === 0 && filter.sourcePort !== sourcePort) continue
      if ((mask & FTQF.MASK_DESTINATION_PORT.mask) === 0 && filter.destinationPort !== destinationPort)
        continue
      return filter.queue
    }
    return NO_QUEUE
  }
}

function half(u8: Uint8Array, at: number): number {
  return u8[at] | (u8[at + 1] << 8)
}

function word(u8: Uint8Array, at: number): number {
  return u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24)
}
