import { RegisterFile } from '../../../src/driver/intel/register-file.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { type Register, offsetOf } from '../../../src/driver/intel/register.ts'
import type { RegisterWindow } from '../../../src/pci/transport.ts'

/** Plain memory that remembers how it was used. */
class Memory implements Pick<RegisterWindow, 'bytes' | 'read32' | 'write32'> {
  readonly bytes = 0x20000
  readonly words = new Map<number, number>()
  readonly log: string[] = []
  /** Called on each read, so that a test can let a bit come up after some polls. */
  onRead: (offset: number) => void = () => undefined

  read32(offset: number): number {
    this.onRead(offset)
    this.log.push(`read ${offset.toString(16)}`)
    return this.words.get(offset) ?? 0
  }

  write32(offset: number, value: number): void {
    this.log.push(`write ${offset.toString(16)} ${value.toString(16)}`)
    this.words.set(offset, value)
  }
}

function make(): { memory: Memory; regs: RegisterFile } {
  const memory = new Memory()
  return { memory, regs: new RegisterFile(memory, 'virtual:test', '82599') }
}

test('reads and writes at the offsets of the table', () => {
  const { memory, regs } = make()
  regs.write(REG.RDLEN, 8192, 3)
  expect(memory.log).toEqual(['write 10c8 2000'])
  expect(regs.read(REG.RDLEN, 3)).toBe(8192)
  regs.write(REG.RDLEN, 128, 64)
  expect(memory.words.get(0x0d008)).toBe(128)
})

test('values are unsigned: bit 31 does not make them negative', () => {
  const { memory, regs } = make()
  regs.modify(REG.GPIE, { set: 1 << 31 })
  expect(memory.words.get(offsetOf(REG.GPIE))).toBe(0x80000000)
})

test('modify touches nothing but the bits asked for', () => {
  const { memory, regs } = make()
  memory.words.set(offsetOf(REG.FCTRL), REG.FCTRL.fields.BAM.mask | REG.FCTRL.fields.SBP.mask)
  regs.modify(REG.FCTRL, { set: REG.FCTRL.fields.UPE.mask, clear: REG.FCTRL.fields.SBP.mask })
  expect(memory.words.get(offsetOf(REG.FCTRL))).toBe(REG.FCTRL.fields.BAM.mask | REG.FCTRL.fields.UPE.mask)
})

test.each<[string, (regs: RegisterFile) => void, string]>([
  ['writing a read-only register', (regs) => regs.write(REG.LINKS, 1), 'LINKS is read-only'],
  ['writing a counter', (regs) => regs.write(REG.GPRC, 0), 'GPRC is read-only'],
  ['reading a write-only register', (regs) => regs.read(REG.EIMC), 'EIMC is write-only'],
  ['setting a reserved bit', (regs) => regs.write(REG.DTXMXSZRQ, 0xffff), 'reserved bits 0x0000f000'],
  ['bit 31 of EIMC', (regs) => regs.write(REG.EIMC, 0xffffffff), 'reserved bits 0x80000000'],
  ['an index beyond the array', (regs) => regs.read(REG.RDT, 128), 'RDT[128] does not exist'],
  ['a negative index', (regs) => regs.read(REG.RDT, -1), 'RDT[-1] does not exist'],
])('%s is refused before it reaches the card', (_, use, message) => {
  const { memory, regs } = make()
  expect(() => use(regs)).toThrow(message)
  expect(memory.log).toEqual([])
})

test('a register outside of the BAR is refused', () => {
  const { regs } = make()
  const beyond: Register = { ...REG.CTRL, name: 'BEYOND', ranges: [{ base: 0x20000, stride: 4, count: 1 }] }
  expect(() => regs.read(beyond)).toThrow('outside of BAR0')
})

test('waitFor returns as soon as the bits are there', () => {
  const { memory, regs } = make()
  let polls = 0
  memory.onRead = (offset) => {
    if (++polls === 3) memory.words.set(offset, REG.EEC.fields.AUTO_RD.mask)
  }
  regs.waitFor(REG.EEC, REG.EEC.fields.AUTO_RD.mask, true)
  expect(polls).toBe(3)
})

test('waitFor looks once more behind its deadline: the process may have stood still', () => {
  const { memory, regs } = make()
  let now = 0
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => now)
  let polls = 0
  memory.onRead = (offset) => {
    now = 60_000
    if (++polls === 2) memory.words.set(offset, REG.EEC.fields.AUTO_RD.mask)
  }
  try {
    regs.waitFor(REG.EEC, REG.EEC.fields.AUTO_RD.mask, true)
  } finally {
    clock.mockRestore()
  }
  expect(polls).toBe(2)
})

test('waitFor names register, bits and section when they do not come', () => {
  const { regs } = make()
  expect(() => regs.waitFor(REG.RXDCTL, 1 << 25, true, { deadline: 5, index: 2 })).toThrow(
    /virtual:test: RXDCTL\[2\] & 0x02000000 is 0x00000000, not 0x02000000, after 5 ms \(82599 §8\.2\.3\.8/,
  )
})
