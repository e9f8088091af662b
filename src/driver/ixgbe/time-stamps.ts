/** When packets pass the MAC, by the card's clock (IEEE 1588, 82599 §7.9): the driver's half of what PTP uses. */
import type { Model } from '../../pci/ids.ts'
import type { LinkState, PacketStamps, StampedPacket } from '../device.ts'
import type { RegisterFile } from '../intel/register-file.ts'
import { get, put } from '../intel/register.ts'
import { REG } from './registers.ts'

/** TSYNCRXCTL.TYPE: messages of version 2 of the type in RXMTRL, over Ethernet or UDP (82599 §8.2.3.26.1). */
const L2_L4_V2 = 2
/** The clock counts cycles of the DMA, whose length depends on the link: so many nanoseconds times Mbit/s (82599 §7.9.3.1). */
const CYCLE = 64_000
const WORD = 2 ** 32
/** Whether there are stamps, whose, and the stamps; in this order, as reading their high words frees their places (82599 §8.2.3.26.1). */
const PLACES = [
  ...[REG.TSYNCTXCTL, REG.TSYNCRXCTL, REG.RXSATRH],
  ...[REG.RXSTMPL, REG.TXSTMPL, REG.RXSTMPH, REG.TXSTMPH],
].map((register) => ({ register }))

/** The X550's clock has another period, and its registers other fields. */
export function hasStamps({ family }: Model): boolean {
  return family === '82599' || family === 'X520' || family === 'X540'
}

export class IxgbeStamps implements PacketStamps {
  private readonly regs: RegisterFile
  private readonly link: () => LinkState
  private cycle = 0

  constructor(regs: RegisterFile, link: () => LinkState) {
    this.regs = regs
    this.link = link
  }

  start(port: number, type: number): void {
    const { regs } = this
    const { mbit } = this.link()
    this.cycle = CYCLE / (mbit === 0 ? 10_000 : mbit)
    // One for each cycle: then a difference is a number of cycles.
    const { INCVALUE, INCPERIOD } = REG.TIMINCA.fields
    regs.write(REG.TIMINCA, put(INCPERIOD, 1) | put(INCVALUE, 1))
    regs.write(REG.RXMTRL, put(REG.RXMTRL.fields.UDPT, port) | put(REG.RXMTRL.fields.MSGT, type))
    regs.write(REG.TSYNCTXCTL, REG.TSYNCTXCTL.fields.EN.mask)
    const { EN, TYPE } = REG.TSYNCRXCTL.fields
    regs.write(REG.TSYNCRXCTL, EN.mask | put(TYPE, L2_L4_V2))
    this.take()
  }

  take(): StampedPacket | null {
    const { regs } = this
    const [sending, receiving, whose, rxLow, txLow, rxHigh, txHigh] = regs.readAll(PLACES)
    if ((sending & REG.TSYNCTXCTL.fields.TXTT.mask) === 0) return null
    if ((receiving & REG.TSYNCRXCTL.fields.RXTT.mask) === 0) return null
    const { SOURCE_ID, SEQUENCE_ID } = REG.RXSATRH.fields
    return {
      nanoseconds: ((rxHigh - txHigh) * WORD + rxLow - txLow) * this.cycle,
      // The card has them as they were on the wire, their first byte lowest.
      sequence: swapped(get(SEQUENCE_ID, whose)),
      source: swapped(get(SOURCE_ID, whose)),
    }
  }
}

function swapped(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8)
}
