import fc from 'fast-check'
import { allocateBytes, bytesOver, copyBytes } from '../../src/packet/bytes.ts'

test('copies exactly what was asked for, at any alignment', () => {
  const place = fc.integer({ min: 0, max: 40 })
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 200, maxLength: 200 }),
      place,
      place,
      fc.integer({ min: 0, max: 150 }),
      (data, from, to, length) => {
        const source = allocateBytes(200)
        source.u8.set(data)
        const target = allocateBytes(200)
        target.u8.fill(0xee)
        copyBytes(source, from, target, to, length)
        const expected = new Uint8Array(200).fill(0xee)
        expected.set(data.subarray(from, from + length), to)
        expect([...target.u8]).toEqual([...expected])
      },
    ),
  )
})

test('memory of an odd length is rounded up to words', () => {
  const { u8, u32 } = allocateBytes(61)
  expect(u8.length).toBe(64)
  expect(u32.length).toBe(16)
})

test('both views show the same bytes', () => {
  const { u8, u32 } = bytesOver(new ArrayBuffer(32), 8, 10)
  u32[1] = 0x04030201
  expect([...u8]).toEqual([0, 0, 0, 0, 1, 2, 3, 4, 0, 0])
  expect(u32.length).toBe(2)
})
