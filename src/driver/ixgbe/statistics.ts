import { FCS_BYTES } from '../../packet/ethernet.ts'
import type { DeviceStatistics } from '../device.ts'
import type { RegisterFile } from '../intel/register-file.ts'
import type { Register } from '../intel/register.ts'
import { REG } from './registers.ts'

/** Where the counters stick (82599 §8.2.3.23). */
const MAX_32 = 2 ** 32 - 1
const MAX_36 = 2 ** 36 - 1

/** Octets before packets: of a frame that is sent between the two, only the packet is known, whose FCS is not yet to be taken off. */
const TRAFFIC = [REG.QPRC, REG.QBRC_L, REG.QBRC_H, REG.GOTCL, REG.GOTCH, REG.GPTC] as const

/** Drops that the card counts, and the name each goes by in every output (docs/architecture.md lists them all). */
const DROP_REGISTERS: readonly { readonly cause: string; readonly register: Register }[] = [
  { cause: 'missed', register: REG.MPC },
  { cause: 'no_descriptor', register: REG.QPRDC },
  { cause: 'crc', register: REG.CRCERRS },
  { cause: 'illegal_byte', register: REG.ILLERRC },
  { cause: 'length', register: REG.RLEC },
  { cause: 'undersize', register: REG.RUC },
  { cause: 'fragment', register: REG.RFC },
  { cause: 'oversize', register: REG.ROC },
  { cause: 'jabber', register: REG.RJC },
]

const DROPS = DROP_REGISTERS.flatMap(({ cause, register }) => {
  // Of QPRDC there is one for each statistics set.
  const count = register === REG.QPRDC ? 1 : register.count
  return Array.from({ length: count }, (_, index) => ({ cause, register, index }))
})
const PLACES = [...TRAFFIC.map((register) => ({ register })), ...DROPS]

/**
 * Totals from the card's statistics registers (82599 §4.6.5, §8.2.3.23). They clear when read, so exactly one of
 * these may exist per device. It must be asked before one sticks: at line rate within 55 s (2^36 octets); statistics-board.ts
 * of the engine sees to that.
 *
 * Receive is counted where packets enter host memory (QPRC, QBRC; without FCS, which is stripped), transmit where they
 * leave the MAC (GPTC, GOTC; with FCS, §8.2.3.23.26). RQSMR is 0: all queues count into statistics set 0.
 */
export class StatisticsReader {
  private readonly regs: RegisterFile
  private rxPackets = 0
  private rxBytes = 0
  private txPackets = 0
  /** With FCS. */
  private txOctets = 0
  /** Without; never falls. */
  private txBytes = 0
  private readonly dropped: Record<string, number> = {}
  private readonly stuck = new Set<string>()

  /** Clears the counters of whoever had the card before. */
  constructor(regs: RegisterFile) {
    this.regs = regs
    for (const { cause } of DROP_REGISTERS) this.dropped[cause] = 0
    this.read()
    this.rxPackets = this.rxBytes = this.txPackets = this.txOctets = this.txBytes = 0
    for (const { cause } of DROP_REGISTERS) this.dropped[cause] = 0
    this.stuck.clear()
  }

  read(): DeviceStatistics {
    const [received, rxLow, rxHigh, txLow, txHigh, sent, ...drops] = this.regs.readAll(PLACES)
    this.rxPackets += this.packets(REG.QPRC, received)
    this.rxBytes += this.octets(REG.QBRC_L, rxLow, rxHigh)
    this.txOctets += this.octets(REG.GOTCL, txLow, txHigh)
    this.txPackets += this.packets(REG.GPTC, sent)
    this.txBytes = Math.max(this.txBytes, this.txOctets - this.txPackets * FCS_BYTES)
    DROPS.forEach(({ cause, register }, i) => {
      this.dropped[cause] += this.packets(register, drops[i])
    })
    return {
      rxPackets: this.rxPackets,
      rxBytes: this.rxBytes,
      txPackets: this.txPackets,
      txBytes: this.txBytes,
      dropped: { ...this.dropped },
      stuck: [...this.stuck],
    }
  }

  private packets(register: Register, value: number): number {
    if (value === MAX_32) this.stuck.add(register.name)
    return value
  }

  /** 36-bit octet counters: reading the low word latches the high one (82599 §8.2.3.23.26). */
  private octets(register: Register, low: number, high: number): number {
    const value = low + (high & 0xf) * 2 ** 32
    if (value === MAX_36) this.stuck.add(register.name)
    return value
  }
}
