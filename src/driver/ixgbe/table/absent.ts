/**
 * Registers of other cards of the family, the 82598 mostly, that the 82599 does not have. Linux's register dump reads them
 * on every card; on this one nothing is at these addresses, or what is there is a gap between the registers of a queue.
 */
import type { Range } from '../../intel/register.ts'
import { at } from '../../intel/define.ts'

export interface Absent {
  readonly name: string
  /** Which card has it. */
  readonly card: string
  readonly range: Range
}

export const ABSENT: readonly Absent[] = [
  { name: 'MSIXPBA', card: '82598', range: at(0x02000) },
  { name: 'ATLASCTL', card: '82598', range: at(0x04800) },
  { name: 'RTTQCNTG', card: 'X540', range: at(0x04a90) },
  { name: 'VMD_CTL', card: '82598', range: at(0x0581c) },
  { name: 'IMIR', card: '82598', range: at(0x05a80, 4, 8) },
  { name: 'IMIREXT', card: '82598', range: at(0x05aa0, 4, 8) },
  { name: 'DCA_TXCTRL', card: '82598', range: at(0x07200, 4, 16) },
  { name: 'TDSTAT', card: '82598', range: at(0x07c00, 4, 9) },
  { name: 'TIC_DW', card: '82598', range: at(0x07f10, 4, 4) },
  { name: 'TDPROBE', card: '82598', range: at(0x07f20) },
]
