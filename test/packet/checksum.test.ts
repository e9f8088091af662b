import fc from 'fast-check'
import { internetChecksum } from '../../src/packet/checksum.ts'

test('the example of RFC 1071 §3', () => {
  const data = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  expect(internetChecksum(data, 0, data.length)).toBe(~0xddf2 & 0xffff)
})

test('the header of a real packet', () => {
  const header = Buffer.from('4500003c1c4640004006b1e6ac100a63ac100a0c', 'hex')
  expect(internetChecksum(header, 0, 20)).toBe(0)
  header.writeUInt16BE(0, 10)
  expect(internetChecksum(header, 0, 20)).toBe(0xb1e6)
})

test('an odd last byte counts as the high byte of a word', () => {
  expect(internetChecksum(Uint8Array.of(0xab), 0, 1)).toBe(~0xab00 & 0xffff)
})

test('carries of 64 KiB of ones are folded in', () => {
  expect(internetChecksum(new Uint8Array(65536).fill(0xff), 0, 65536)).toBe(0)
})

test('data with its checksum appended sums up to zero, and doesn’t once a bit is flipped', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 200 }), fc.nat(), (data, position) => {
      const length = data.length & ~1
      const all = new Uint8Array(length + 2)
      all.set(data.subarray(0, length))
      const sum = internetChecksum(all, 0, length)
      all[length] = sum >>> 8
      all[length + 1] = sum
      expect(internetChecksum(all, 0, all.length)).toBe(0)
      all[(position >>> 3) % all.length] ^= 1 << (position & 7)
      expect(internetChecksum(all, 0, all.length)).not.toBe(0)
    }),
  )
})
