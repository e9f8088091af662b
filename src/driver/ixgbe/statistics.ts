import type { DeviceStatistics } from '../device.ts'
import type { RegisterFile } from './register-file.ts'
import type { Register } from './register.ts'
import { REG } from './registers.ts'

/** Bytes of frame check sequence, which the MAC's octet counters include (82599 §8.2.3.23.26). */
const FCS = 4

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

/**
 * Totals from the card's statistics registers (82599 §4.6.5, §8.2.3.23). They clear when read, so exactly one of
 * these may exist per device; it must be asked at least every 4 minutes at line rate, before a 32-bit counter sticks.
 *
 * Receive is counted where packets enter host memory (QPRC, QBRC; without FCS, which is stripped), transmit where they
 * leave the MAC (GPTC, GOTC; with FCS). RQSMR is 0: all queues count into statistics set 0.
 */
export class StatisticsReader {
  private readonly regs: RegisterFile
  private rxPackets = 0
  private rxBytes = 0
  private txPackets = 0
  private txBytes = 0
  private readonly dropped: Record<string, number> = {}

  /** Clears the counters of whoever had the card before. */
  constructor(regs: RegisterFile) {
    this.regs = regs
    for (const { cause } of DROP_REGISTERS) this.dropped[cause] = 0
    this.read()
    this.rxPackets = this.rxBytes = this.txPackets = this.txBytes = 0
    for (const { cause } of DROP_REGISTERS) this.dropped[cause] = 0
  }

  read(): DeviceStatistics {
    const { regs } = this
    this.rxPackets += regs.read(REG.QPRC)
    this.rxBytes += this.read64(REG.QBRC_L, REG.QBRC_H)
    const sent = regs.read(REG.GPTC)
    this.txPackets += sent
    this.txBytes += this.read64(REG.GOTCL, REG.GOTCH) - sent * FCS
    for (const { cause, register } of DROP_REGISTERS) {
      for (let i = 0; i < register.count; i++) this.dropped[cause] += regs.read(register, i)
    }
    return {
      rxPackets: this.rxPackets,
      rxBytes: this.rxBytes,
      txPackets: this.txPackets,
      txBytes: this.txBytes,
      dropped: { ...this.dropped },
    }
  }

  /** 36-bit octet counters: reading the low word latches the high one (82599 §8.2.3.23.26). */
  private read64(low: Register, high: Register): number {
    return this.regs.read(low) + (this.regs.read(high) & 0xf) * 2 ** 32
  }
}
