import { offsetOf, type Range, type Register } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { ABSENT } from '../../../src/driver/ixgbe/table/absent.ts'
import { DUMPED } from './dumped-registers.ts'

const ALL: readonly Register[] = Object.values(REG)

describe('the register table', () => {
  test('gives every entry the name of its key', () => {
    for (const [name, register] of Object.entries(REG)) expect(register.name).toBe(name)
  })

  test('has no two registers at one address, aliases included', () => {
    const seen = new Map<number, string>()
    for (const register of ALL) {
      for (const range of [...register.ranges, ...register.aliases]) {
        for (let i = 0; i < range.count; i++) {
          const offset = range.base + i * range.stride
          const here = `${register.name}[${i}]`
          expect([offset.toString(16), seen.get(offset) ?? here]).toEqual([offset.toString(16), here])
          expect(offset % 4).toBe(0)
          seen.set(offset, here)
        }
      }
    }
    expect(seen.size).toBeGreaterThan(3000)
  })

  test('keeps fields within 32 bits, apart from each other and from the reserved bits', () => {
    for (const register of ALL) {
      let used = 0
      for (const [name, field] of Object.entries(register.fields)) {
        const where = `${register.name}.${name}`
        expect([where, field.shift + field.width <= 32]).toEqual([where, true])
        expect([where, (used & field.mask) >>> 0]).toEqual([where, 0])
        used = (used | field.mask) >>> 0
        // RDLEN.LEN covers bits that must be zero, but not only those.
        const writable = (field.mask & ~register.reserved) !== 0
        expect([where, writable]).toEqual([where, true])
      }
    }
  })

  test('names all that the register dumps of other drivers read, or says which card has it instead', () => {
    const known = new Set<number>()
    const add = ({ base, stride, count }: Range): void => {
      for (let i = 0; i < count; i++) known.add(base + i * stride)
    }
    for (const register of ALL) [...register.ranges, ...register.aliases].forEach(add)
    for (const { range } of ABSENT) add(range)
    const unknown = DUMPED.flatMap(([name, base, count, stride]) =>
      Array.from({ length: count }, (_, i) => base + i * stride)
        .filter((offset) => !known.has(offset))
        .map((offset) => `${name} at 0x${offset.toString(16)}`),
    )
    expect(unknown).toEqual([])
  })

  test('cites a section of chapter 8.2.3 for every register', () => {
    for (const register of ALL) expect(register.section).toMatch(/^8\.2\.3\.\d+(\.\d+)?$/)
  })

  test('counts entries over all ranges, and refuses an index beyond them', () => {
    expect(offsetOf(REG.RDT, 63)).toBe(0x1018 + 63 * 0x40)
    expect(offsetOf(REG.RDT, 64)).toBe(0xd018)
    expect(offsetOf(REG.EITR, 24)).toBe(0x12300)
    expect(() => offsetOf(REG.RDT, 128)).toThrow(RangeError)
    expect(() => offsetOf(REG.CTRL, 1)).toThrow(RangeError)
  })
})
