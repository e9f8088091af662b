/** Registers whose answers depend on nothing but registers. */
import { REG } from '../../driver/ixgbe/registers.ts'
import type { CardRegisters } from './registers.ts'

export function hookGeneral(registers: CardRegisters): void {
  const { STATUS, CTRL, RDRXCTL, PFQDE, GCR_EXT, CTRL_EXT } = REG
  registers.onRead(STATUS, () => {
    const disabled = registers.test(CTRL, CTRL.fields.MASTER_DISABLE.mask)
    return registers.get(STATUS) & (disabled ? ~STATUS.fields.MASTER_ENABLE.mask : ~0)
  })
  registers.onWrite(RDRXCTL, (value) => registers.set(RDRXCTL, value | RDRXCTL.fields.DMAIDONE.mask))
  registers.selfClearing(PFQDE, PFQDE.fields.WE.mask | PFQDE.fields.RE.mask)
  registers.selfClearing(GCR_EXT, GCR_EXT.fields.BUFFERS_CLEAR.mask)
  registers.selfClearing(CTRL_EXT, CTRL_EXT.fields.PFRSTD.mask)
}
