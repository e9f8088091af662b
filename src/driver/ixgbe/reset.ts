import type { RegisterFile } from '../intel/register-file.ts'
import { REG } from './registers.ts'
import { sleepMilliseconds } from '../../linux/clock.ts'

/** How long requests under way may take, milliseconds; Linux's ixgbe waits for 80. */
const MASTER_DEADLINE = 100
/** The datasheet asks for 20 µs (82599 §5.2.5.3.2). Milliseconds. */
const FLUSH = 1

/** Masks every interrupt and forgets the causes collected so far (82599 §4.6.3.1). */
export function disableInterrupts(regs: RegisterFile): void {
  regs.write(REG.EIMC, REG.EIMC.fields.ALL.mask)
  regs.read(REG.EICR)
}

/**
 * Stops the card from starting new DMA and waits for what is under way (82599 §5.2.5.3.2). A card whose last owner was
 * killed may hold a request that never ends: it is flushed and reset, which starts it anew. The datasheet asks for a
 * second reset then, which is globalReset(), to be called by whoever wants to use the card.
 */
export function stopRequests(regs: RegisterFile, warn: (message: string) => void): void {
  regs.modify(REG.CTRL, { set: REG.CTRL.fields.MASTER_DISABLE.mask })
  const { MASTER_ENABLE } = REG.STATUS.fields
  if (regs.comesTo(REG.STATUS, MASTER_ENABLE.mask, false, { deadline: MASTER_DEADLINE })) return
  warn(
    `it has a request under way that doesn't end within ${MASTER_DEADLINE} ms (STATUS.MASTER_ENABLE, 82599 §5.2.5.3.2), as a killed program leaves one behind: it is reset twice`,
  )
  // Nothing comes in or goes out while the requests' buffers are flushed.
  const { LPBK } = REG.HLREG0.fields
  const { BUFFERS_CLEAR } = REG.GCR_EXT.fields
  regs.modify(REG.HLREG0, { set: LPBK.mask })
  regs.modify(REG.RXCTRL, { clear: REG.RXCTRL.fields.RXEN.mask })
  regs.modify(REG.GCR_EXT, { set: BUFFERS_CLEAR.mask })
  sleepMilliseconds(FLUSH)
  regs.modify(REG.HLREG0, { clear: LPBK.mask })
  regs.modify(REG.GCR_EXT, { clear: BUFFERS_CLEAR.mask })
  globalReset(regs)
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
