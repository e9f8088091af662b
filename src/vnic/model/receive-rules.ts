import { REG } from '../../driver/ixgbe/registers.ts'
import type { CardRegisters } from './registers.ts'
import type { Strict } from './strict.ts'

/** What must hold when reception starts (82599 §4.6.7, §8.2.3.8.8). */
export function checkBeforeReceive(registers: CardRegisters, strict: Strict, busMaster: boolean): void {
  const { RSCFRSTSIZE, RSCACKC, FCOE_WRFIX, CRCSTRIP } = REG.RDRXCTL.fields
  const rdrxctl = registers.get(REG.RDRXCTL)
  if ((rdrxctl & RSCFRSTSIZE.mask) !== 0) strict.report('8.2.3.8.8', 'RDRXCTL.RSCFRSTSIZE is not 0')
  if ((rdrxctl & RSCACKC.mask) === 0) strict.report('8.2.3.8.8', 'RDRXCTL.RSCACKC is not set')
  if ((rdrxctl & FCOE_WRFIX.mask) === 0) strict.report('8.2.3.8.8', 'RDRXCTL.FCOE_WRFIX is not set')
  const macStrips = registers.test(REG.HLREG0, REG.HLREG0.fields.RXCRCSTRP.mask)
  if (macStrips !== ((rdrxctl & CRCSTRIP.mask) !== 0))
    strict.report('8.2.3.22.8', 'HLREG0.RXCRCSTRP and RDRXCTL.CRCSTRIP differ')
  if (!busMaster) strict.report('9.3.3.3', 'reception enabled while PCI bus mastering is off')
}

/** A bit that is set after a reset and that drivers are to clear (82599 §4.6.7). One that writes back what it has read sets nothing. */
export function watchDcaControl(registers: CardRegisters, strict: Strict): void {
  const { mask } = REG.DCA_RXCTRL.fields.MUST_BE_ZERO
  registers.onWrite(REG.DCA_RXCTRL, (value, index) => {
    if ((value & ~registers.get(REG.DCA_RXCTRL, index) & mask) !== 0)
      strict.report('8.2.3.11.1', 'bit 12 of DCA_RXCTRL set again')
    registers.set(REG.DCA_RXCTRL, value, index)
  })
}
