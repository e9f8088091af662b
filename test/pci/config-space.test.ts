import fc from 'fast-check'
import { listCapabilities } from '../../src/pci/config-space.ts'
import type { ReadableConfig } from '../../src/pci/transport.ts'

/** 256 bytes, with the bit that says that there is a list. */
function space(fill: (bytes: Buffer) => void): ReadableConfig {
  const bytes = Buffer.alloc(256)
  bytes.writeUInt16LE(0x0010, 6)
  fill(bytes)
  return {
    read8: (offset) => bytes.readUInt8(offset),
    read16: (offset) => bytes.readUInt16LE(offset),
    read32: (offset) => bytes.readUInt32LE(offset),
  }
}

/** Writes a list: id, where it is. */
function chain(bytes: Buffer, list: readonly (readonly [id: number, offset: number])[]): void {
  list.forEach(([id, offset], i) => {
    bytes.writeUInt8(offset, i === 0 ? 0x34 : list[i - 1][1] + 1)
    bytes.writeUInt8(id, offset)
  })
}

test('a list of capabilities is followed wherever it leads', () => {
  const config = space((bytes) =>
    chain(bytes, [
      [0x11, 0x98],
      [0x09, 0x84],
      [0x09, 0x40],
    ]),
  )
  expect(listCapabilities(config, 'x')).toEqual([
    { id: 0x11, offset: 0x98 },
    { id: 0x09, offset: 0x84 },
    { id: 0x09, offset: 0x40 },
  ])
})

test('its pointers have two reserved bits', () => {
  const config = space((bytes) => {
    bytes.writeUInt8(0x43, 0x34)
    bytes.writeUInt8(0x05, 0x40)
    bytes.writeUInt8(0x02, 0x41)
  })
  expect(listCapabilities(config, 'x')).toEqual([{ id: 0x05, offset: 0x40 }])
})

test('a function without a list has none, whatever stands where it would begin', () => {
  const config = space((bytes) => {
    bytes.writeUInt16LE(0, 6)
    bytes.writeUInt8(0x40, 0x34)
  })
  expect(listCapabilities(config, 'x')).toEqual([])
})

test.each([
  [
    'comes back to itself',
    [0x40, 0x40],
    /x: its list of capabilities leads to 0x40, where it has been before/,
  ],
  ['comes back to an earlier one', [0x40, 0x80, 0x60, 0x80], /leads to 0x80, where it has been before/],
  ['leads into the basic registers', [0x40, 0x10], /leads to 0x10, where none can be/],
])('a list that %s is refused', (_name, offsets, message) => {
  const config = space((bytes) =>
    offsets.forEach((offset, i) => bytes.writeUInt8(offset, i === 0 ? 0x34 : offsets[i - 1] + 1)),
  )
  expect(() => listCapabilities(config, 'x')).toThrow(
    expect.objectContaining({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' }),
  )
  expect(() => listCapabilities(config, 'x')).toThrow(message)
})

test('any bytes are a list or an error, and none is followed for ever', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 256, maxLength: 256 }), (random) => {
      const config = space((bytes) => bytes.set(random))
      try {
        expect(listCapabilities(config, 'x').length).toBeLessThanOrEqual(48)
      } catch (error) {
        expect(error).toMatchObject({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' })
      }
    }),
  )
})
