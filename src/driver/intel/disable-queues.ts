import type { RegisterFile } from './register-file.ts'
import type { Register } from './register.ts'

/** Milliseconds that all queues together may take. */
const DEADLINE = 1000

/**
 * Clears ENABLE in the first `count` of RXDCTL or TXDCTL and waits until the card has taken that over in each of them.
 * All are told before any is waited for, so one that doesn't stop keeps no other from it. Throws IXY_ERR_REGISTER.
 */
export function disableQueues(
  regs: RegisterFile,
  control: Register<'ENABLE' | 'SWFLSH'>,
  count: number,
): void {
  const { mask } = control.fields.ENABLE
  for (let index = 0; index < count; index++) regs.modify(control, { clear: mask }, index)
  const until = performance.now() + DEADLINE
  for (let index = 0; index < count; index++)
    regs.waitFor(control, mask, false, { index, deadline: Math.max(1, until - performance.now()) })
}
