import type { ReadableBar } from '../../pci/transport.ts'
import type { DumpedRegister } from '../driver.ts'
import { type Register, get, offsetOf } from './register.ts'

/**
 * Every register of the table as it is now; of arrays only entries that differ from their value after a reset. What
 * reading would change is listed without a value: statistics, interrupt causes, and `readingTakes`, semaphores.
 */
export function dumpRegisters(
  table: Readonly<Record<string, Register>>,
  readingTakes: readonly Register[],
  registers: Pick<ReadableBar, 'read32'>,
): DumpedRegister[] {
  return Object.values(table).flatMap((register) => {
    const { access, count, description, section } = register
    const silent = access === 'RC' || access === 'RCW' || access === 'WO' || readingTakes.includes(register)
    if (silent) {
      return [
        { name: register.name, offset: offsetOf(register), value: null, fields: {}, description, section },
      ]
    }
    const entries: DumpedRegister[] = []
    for (let index = 0; index < count; index++) {
      const offset = offsetOf(register, index)
      const value = registers.read32(offset) >>> 0
      if (count > 1 && value === register.reset) continue
      const name = count > 1 ? `${register.name}[${index}]` : register.name
      entries.push({ name, offset, value, fields: decode(register, value), description, section })
    }
    return entries
  })
}

function decode(register: Register, value: number): Record<string, number> {
  const decoded = Object.entries(register.fields).map(([name, field]) => [name, get(field, value)] as const)
  return Object.fromEntries(decoded.filter(([, part]) => part !== 0))
}
