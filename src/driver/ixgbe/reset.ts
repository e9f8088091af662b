import type { RegisterFile } from '../intel/register-file.ts'
import { REG } from './registers.ts'
import { sleepMilliseconds } from '../../linux/clock.ts'

/** Masks every interrupt and forgets the causes collected so far (82599 §4.6.3.1). */
export function disableInterrupts(regs: RegisterFile): void {
  regs.write(REG.EIMC, REG.EIMC.fields.ALL.mask)
  regs.read(REG.EICR)
}

/** Stops the card from starting new DMA and waits for what is under way (82599 §5.2.5.3.2). */
export function disableMaster(regs: RegisterFile): void {
  regs.modify(REG.CTRL, { set: REG.CTRL.fields.MASTER_DISABLE.mask })
  regs.waitFor(REG.STATUS, REG.STATUS.fields.MASTER_ENABLE.mask, false, { deadline: 100 })
}

/** Resets the MAC, the link and the DMA engines (82599 §4.2.1.6.1, §4.6.3.2). */
export function globalReset(regs: RegisterFile): void {
  const { LRST, RST } = REG.CTRL.fields
  regs.modify(REG.CTRL, { set: LRST.mask | RST.mask, clear: REG.CTRL.fields.MASTER_DISABLE.mask })
  // "To ensure that global device reset has fully completed, software must wait for at least 1 ms" — and the card
  // needs 10 ms more before its registers may be written.
  sleepMilliseconds(1)
  regs.waitFor(REG.CTRL, LRST.mask | RST.mask, false)
  sleepMilliseconds(10)
}

/** The card loads its defaults and its MAC address from the EEPROM after a reset (82599 §4.6.3, step 3). */
export function waitForEeprom(regs: RegisterFile): void {
  regs.waitFor(REG.EEC, REG.EEC.fields.AUTO_RD.mask, true)
}

/** The DMA engines clear their memories after a reset (82599 §4.6.3, step 4). */
export function waitForDma(regs: RegisterFile): void {
  regs.waitFor(REG.RDRXCTL, REG.RDRXCTL.fields.DMAIDONE.mask, true)
}

/** The first receive address, which the card has loaded from the EEPROM: `52:54:00:00:00:01` (82599 §8.2.3.7.8). */
export function readMac(regs: RegisterFile): string {
  const low = regs.read(REG.RAL)
  const high = regs.read(REG.RAH)
  const bytes = [low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8]
  return bytes.map((byte) => (byte & 0xff).toString(16).padStart(2, '0')).join(':')
}
