import type { RegisterFile } from '../intel/register-file.ts'
import { put } from '../intel/register.ts'
import { REG } from './registers.ts'

/**
 * Shortest time between two interrupts of a queue, in the register's unit of 2 µs (82599 §8.2.3.5.12). The first packet
 * after a rest is reported at once; under load, when the worker polls anyway, this bounds what interrupts cost.
 */
const THROTTLE = 25

/**
 * Lets receive queue q raise MSI-X vector q when it has written back a packet (82599 §4.6.3.1, §7.3.4). Causes clear
 * themselves when the message is sent (EIAC), and nothing masks them: the worker sleeps and wakes without touching a
 * register, and an interrupt that comes while it polls costs it nothing.
 */
export function enableInterrupts(regs: RegisterFile, queues: number): void {
  const { MULTIPLE_MSIX, PBA_SUPPORT, OCD, EIAME } = REG.GPIE.fields
  regs.modify(REG.GPIE, { set: MULTIPLE_MSIX.mask | PBA_SUPPORT.mask | OCD.mask, clear: EIAME.mask })

  const { RX_EVEN, RX_EVEN_VAL, RX_ODD, RX_ODD_VAL } = REG.IVAR.fields
  for (let queue = 0; queue < queues; queue++) {
    const [vector, valid] = queue % 2 === 0 ? [RX_EVEN, RX_EVEN_VAL] : [RX_ODD, RX_ODD_VAL]
    regs.modify(REG.IVAR, { clear: vector.mask, set: put(vector, queue) | valid.mask }, queue >> 1)
    regs.write(REG.EITR, put(REG.EITR.fields.ITR_INTERVAL, THROTTLE), queue)
  }

  const vectors = 2 ** queues - 1
  regs.write(REG.EIAC, vectors)
  regs.read(REG.EICR)
  regs.write(REG.EIMS, vectors)
}
