import { close, createMemfd, pread } from '../../src/linux/file.ts'
import { mmap, viewOf } from '../../src/linux/mapping.ts'
import { Bars, MappablePages, PAGE, fileBar } from '../../src/pci/bars.ts'

const BASE = 2 * PAGE
const BYTES = 4 * PAGE
let fd: number
beforeEach(() => {
  fd = createMemfd('bar', BASE + BYTES)
})
afterEach(() => close(fd))

const word = (offset: number) => {
  const data = new Uint32Array(1)
  pread(fd, data, offset)
  return data[0]
}

/** As VFIO shows a BAR with a table of MSI-X in its middle. */
function partlyMapped(mapped: number[] = []) {
  const areas = [
    { offset: 0, size: PAGE },
    { offset: 2 * PAGE, size: 2 * PAGE },
  ]
  const pages = new MappablePages(areas, (offset) => {
    mapped.push(offset)
    return mmap(PAGE, { fd, offset: BASE + offset })
  })
  return fileBar(fd, BASE, BYTES, 'memory', pages)
}

test('a BAR that can be mapped in part is read and written through its file', () => {
  const bar = partlyMapped()
  bar.write32(0x10, 0xfedcba98)
  bar.write16(0x12, 0x1234)
  bar.write8(0x10, 0xff)
  expect(word(BASE + 0x10)).toBe(0x1234baff)
  expect([bar.read32(0x10), bar.read16(0x12), bar.read8(0x11)]).toEqual([0x1234baff, 0x1234, 0xba])
  bar.write32(BYTES - 4, 7)
  expect(word(BASE + BYTES - 4)).toBe(7)
  for (const offset of [-4, 2, BYTES, NaN]) {
    expect(() => bar.read32(offset)).toThrow(RangeError)
    expect(() => bar.write32(offset, 0)).toThrow(RangeError)
  }
  bar.close()
})

test('its doorbells are memory where there is some, each page mapped once, and the file elsewhere', () => {
  const mapped: number[] = []
  const bar = partlyMapped(mapped)
  const [first, second] = [bar.doorbell(2 * PAGE + 8), bar.doorbell(2 * PAGE + 16)]
  if (first?.kind !== 'memory') throw new Error('not in memory')
  expect(second).toEqual({ kind: 'memory', page: first.page, offset: 16 })
  expect(mapped).toEqual([2 * PAGE])
  new Uint32Array(viewOf(first.page, PAGE))[first.offset >> 2] = 99
  expect(bar.read32(2 * PAGE + 8)).toBe(99)
  expect(bar.doorbell(PAGE + 8)).toEqual({ kind: 'file', fd, offset: BASE + PAGE + 8 })
  bar.close()
  bar.close()
  expect(() => bar.doorbell(8)).toThrow(RangeError)
})

test('BARs are opened once, when they are asked for, and closed together', () => {
  const opened: number[] = []
  const bars = new Bars('card', (index) => {
    opened.push(index)
    return index === 2 ? null : partlyMapped()
  })
  expect(opened).toEqual([])
  const bar = bars.at(4)
  expect(bars.at(4)).toBe(bar)
  expect(opened).toEqual([4])
  for (const index of [2, 6, -1]) expect(() => bars.at(index)).toThrow(`card has no registers in BAR${index}`)
  bars.close()
  expect(() => bar.read8(0)).toThrow(RangeError)
  expect(() => bars.at(4)).toThrow('card is closed')
})
