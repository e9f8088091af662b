/** The security blocks, through which all frames pass. They are fused off and hold none, so they stop at once (82599 §4.6.7). */
import type { Register } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import type { CardRegisters } from './registers.ts'
import type { Strict } from './strict.ts'

const { RX_DIS } = REG.SECRXCTRL.fields
const { SECRX_RDY } = REG.SECRXSTAT.fields

export class SecurityBlocks {
  private readonly registers: CardRegisters
  private readonly strict: Strict
  /** The host has read SECRXSTAT.SECRX_RDY since it has last written SECRXCTRL. */
  private seenEmpty = false

  /** `changed`: called when a path has been opened or closed. */
  constructor(registers: CardRegisters, strict: Strict, changed: () => void) {
    this.registers = registers
    this.strict = strict
    const gate = (control: Register, status: Register, disable: number): void =>
      registers.onWrite(control, (value) => {
        registers.set(control, value)
        registers.change(status, (value & disable) === 0 ? 0 : 1, 1)
        if (control === REG.SECRXCTRL) this.seenEmpty = false
        changed()
      })
    gate(REG.SECRXCTRL, REG.SECRXSTAT, RX_DIS.mask)
    gate(REG.SECTXCTRL, REG.SECTXSTAT, REG.SECTXCTRL.fields.TX_DIS.mask)
    registers.onRead(REG.SECRXSTAT, () => {
      this.seenEmpty = registers.test(REG.SECRXSTAT, SECRX_RDY.mask)
      return registers.get(REG.SECRXSTAT)
    })
  }

  reset(): void {
    this.seenEmpty = false
  }

  /** Reception starts: a frame on its way at that moment can hang a card. */
  checkBeforeReceive(): void {
    if (!this.registers.test(REG.SECRXCTRL, RX_DIS.mask))
      this.strict.report('4.6.7', 'RXCTRL.RXEN set while SECRXCTRL.RX_DIS lets frames in')
    else if (!this.seenEmpty)
      this.strict.report('4.6.7', 'RXCTRL.RXEN set before SECRXSTAT.SECRX_RDY was seen')
  }
}
