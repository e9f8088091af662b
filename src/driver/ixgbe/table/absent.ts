/**
 * Registers of other cards of the family, the 82598 mostly, that the 82599 does not have. The register dumps of Linux and
 * DPDK read them on every card, and some versions write FDIRSCTPM on all; on this one nothing is at these addresses, or what is
 * there is a gap between the registers of a queue.
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
  { name: 'RT2CR', card: '82598', range: at(0x03c20, 4, 8) },
  { name: 'RT2SR', card: '82598', range: at(0x03c40, 4, 8) },
  { name: 'ATLASCTL', card: '82598', range: at(0x04800) },
  { name: 'RTTQCNTG', card: 'X540', range: at(0x04a90) },
  { name: 'RUPPBMR', card: '82598', range: at(0x050a0) },
  { name: 'VMD_CTL', card: '82598', range: at(0x0581c) },
  { name: 'IMIR', card: '82598', range: at(0x05a80, 4, 8) },
  { name: 'IMIREXT', card: '82598', range: at(0x05aa0, 4, 8) },
  { name: 'TDTQ2TCCR', card: '82598', range: at(0x0602c, 0x40, 8) },
  { name: 'TDTQ2TCSR', card: '82598', range: at(0x0622c, 0x40, 8) },
  { name: 'DCA_TXCTRL', card: '82598', range: at(0x07200, 4, 16) },
  { name: 'TDSTAT', card: '82598', range: at(0x07c00, 4, 9) },
  { name: 'TIC_DW', card: '82598', range: at(0x07f10, 4, 4) },
  { name: 'TDPROBE', card: '82598', range: at(0x07f20) },
  { name: 'FDIRSCTPM', card: 'X550', range: at(0x0ee78) },
]
