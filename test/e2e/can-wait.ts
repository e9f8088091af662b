/** Tells whether this system can wait for words of memory: `true` or `false`. */
import { canWaitForWords } from '../../src/linux/futex.ts'

process.stdout.write(String(canWaitForWords()))
