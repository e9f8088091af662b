import fc from 'fast-check'
import { IxyError } from '../../../src/errors.ts'
import * as protocol from '../../../src/pci/vfio-user/protocol.ts'

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u64 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
)
const data = fc.uint8Array({ maxLength: 64 })

function roundTrip<T>(
  values: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
) {
  fc.assert(
    fc.property(values, (value) => {
      // Behind other bytes in a larger buffer, as messages come.
      const encoded = encode(value)
      const buffer = new Uint8Array(encoded.length + 3)
      buffer.set(encoded, 3)
      expect(decode(buffer.subarray(3))).toEqual(value)
    }),
  )
}

describe('whatever is encoded is decoded to the same', () => {
  test('header', () => {
    const size = fc.integer({ min: protocol.HEADER_BYTES, max: protocol.MAX_MESSAGE_BYTES })
    roundTrip(
      fc.record({ id: u16, command: u16, size, flags: u32, error: u32 }),
      protocol.encodeHeader,
      protocol.decodeHeader,
    )
  })

  test('version', () => {
    const capabilities = fc.record(
      {
        max_msg_fds: u32,
        max_data_xfer_size: u32,
        max_dma_maps: u32,
        pgsizes: u32,
        write_multiple: fc.boolean(),
        ixy_shared_doorbells: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    roundTrip(
      fc.record({ major: u16, minor: u16, capabilities }, { noNullPrototype: true }),
      protocol.encodeVersion,
      protocol.decodeVersion,
    )
  })

  test('memory maps', () => {
    roundTrip(
      fc.record({ flags: u32, offset: u64, address: u64, size: u64 }),
      protocol.encodeDmaMap,
      protocol.decodeDmaMap,
    )
    roundTrip(
      fc.record({ flags: u32, address: u64, size: u64 }),
      protocol.encodeDmaUnmap,
      protocol.decodeDmaUnmap,
    )
    roundTrip(
      fc.record({ address: u64, data }).map((value) => ({ ...value, count: value.data.length })),
      protocol.encodeDmaAccess,
      (bytes) => protocol.decodeDmaAccess(bytes, true),
    )
  })

  test('device and interrupts', () => {
    roundTrip(
      fc.record({ flags: u32, regions: u32, irqs: u32 }),
      protocol.encodeDeviceInfo,
      protocol.decodeDeviceInfo,
    )
    roundTrip(
      fc.record({ flags: u32, index: u32, count: u32 }),
      protocol.encodeIrqInfo,
      protocol.decodeIrqInfo,
    )
    roundTrip(
      fc
        .record({ index: u32, start: u32, data })
        .map((value) => ({ ...value, count: value.data.length, flags: protocol.IrqSetFlag.DATA_BOOL | 8 })),
      protocol.encodeIrqSet,
      protocol.decodeIrqSet,
    )
  })

  test('region accesses', () => {
    const access = fc
      .record({ offset: u64, region: u32, data })
      .map((value) => ({ ...value, count: value.data.length }))
    roundTrip(access, protocol.encodeRegionAccess, (bytes) => protocol.decodeRegionAccess(bytes, true))
    const small = fc
      .record({ offset: u64, region: u32, data: fc.uint8Array({ maxLength: 8 }) })
      .map((value) => ({ ...value, count: value.data.length }))
    roundTrip(fc.array(small), protocol.encodeRegionWriteMulti, protocol.decodeRegionWriteMulti)
  })

  test('region information with sparse areas', () => {
    const areas = fc.array(fc.record({ offset: u64, size: u64 }), { minLength: 1, maxLength: 5 })
    const info = fc.record({ flags: fc.constant(0xf), index: u32, size: u64, offset: u64, areas })
    roundTrip(
      info.map((value) => ({ ...value, argsz: 48 + value.areas.length * 16 })),
      (value) => protocol.encodeRegionInfo(value, 4096),
      protocol.decodeRegionInfo,
    )
  })
})

describe('the bytes are the specification’s', () => {
  test('header of a DMA_MAP command', () => {
    const header = { id: 0x1234, command: protocol.Command.DMA_MAP, size: 48, flags: 0, error: 0 }
    expect(Buffer.from(protocol.encodeHeader(header)).toString('hex')).toBe(
      '34120200300000000000000000000000',
    )
  })

  test('version JSON ends with a zero', () => {
    const payload = protocol.encodeVersion({ major: 0, minor: 2, capabilities: { max_msg_fds: 8 } })
    expect(Buffer.from(payload).toString('latin1')).toBe('\0\0\x02\0{"capabilities":{"max_msg_fds":8}}\0')
  })

  test('a version without JSON is allowed', () => {
    expect(protocol.decodeVersion(Uint8Array.of(0, 0, 1, 0))).toEqual({
      major: 0,
      minor: 1,
      capabilities: {},
    })
  })

  test('what QEMU sends in VERSION is understood', () => {
    const json =
      '{"capabilities": {"max_msg_fds": 8, "max_data_xfer_size": 1048576, "migration": {"pgsize": 4096}, ' +
      '"pgsizes": 4096, "max_dma_maps": 65535, "write_multiple": true}}\0'
    const payload = Buffer.concat([Buffer.from([0, 0, 2, 0]), Buffer.from(json)])
    expect(protocol.decodeVersion(payload).capabilities).toEqual({
      max_msg_fds: 8,
      max_data_xfer_size: 1048576,
      pgsizes: 4096,
      max_dma_maps: 65535,
      write_multiple: true,
    })
  })

  test('a reply to a client without room for the areas tells where they are and what it takes', () => {
    const info = {
      flags: 7,
      index: 0,
      size: 0x80000,
      offset: 0,
      areas: [
        { offset: 0x1000, size: 0x1000 },
        { offset: 0x6000, size: 0x1000 },
      ],
    }
    const short = protocol.encodeRegionInfo(info, 32)
    expect(short.length).toBe(32)
    const view = new DataView(short.buffer)
    expect(view.getUint32(0, true)).toBe(80)
    expect(view.getUint32(4, true)).toBe(0xf)
    expect(view.getUint32(12, true)).toBe(32)
    expect(protocol.decodeRegionInfo(short)).toEqual({
      argsz: 80,
      flags: 0xf,
      index: 0,
      size: 0x80000,
      offset: 0,
    })
    expect(protocol.decodeRegionInfo(protocol.encodeRegionInfo(info, 80)).areas).toEqual(info.areas)
  })
})

describe('what a broken peer sends', () => {
  const decoders: Record<string, (bytes: Uint8Array) => unknown> = {
    header: protocol.decodeHeader,
    version: protocol.decodeVersion,
    dmaMap: protocol.decodeDmaMap,
    dmaUnmap: protocol.decodeDmaUnmap,
    deviceInfo: protocol.decodeDeviceInfo,
    regionInfoRequest: protocol.decodeRegionInfoRequest,
    regionInfo: protocol.decodeRegionInfo,
    irqInfo: protocol.decodeIrqInfo,
    irqSet: protocol.decodeIrqSet,
    regionRead: (bytes) => protocol.decodeRegionAccess(bytes, false),
    regionWrite: (bytes) => protocol.decodeRegionAccess(bytes, true),
    writeMulti: protocol.decodeRegionWriteMulti,
    dmaAccess: (bytes) => protocol.decodeDmaAccess(bytes, true),
  }

  test.each(Object.keys(decoders))('%s: random bytes are decoded or refused, nothing else', (name) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        try {
          decoders[name](bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(IxyError)
          expect(error).toMatchObject({ code: 'IXY_ERR_PROTOCOL' })
        }
      }),
    )
    expect(() => decoders[name](new Uint8Array(3))).toThrow(IxyError)
  })

  test('is refused when a size makes no sense', () => {
    const header = { id: 1, command: 1, flags: 0, error: 0 }
    for (const size of [0, 15, protocol.MAX_MESSAGE_BYTES + 1, 0xffff_ffff])
      expect(() => protocol.decodeHeader(protocol.encodeHeader({ ...header, size }))).toThrow(`${size} bytes`)
  })

  test('is refused when numbers exceed what can be represented', () => {
    const payload = protocol.encodeDmaMap({ flags: 3, offset: 0, address: 0, size: 4096 })
    payload.fill(0xff, 16, 24)
    expect(() => protocol.decodeDmaMap(payload)).toThrow('the address of DMA_MAP is beyond 2^53')
  })

  test('is refused when counts exceed the message', () => {
    const multi = protocol.encodeRegionWriteMulti([
      { offset: 0, region: 0, count: 4, data: new Uint8Array(4) },
    ])
    multi[0] = 2
    expect(() => protocol.decodeRegionWriteMulti(multi)).toThrow('2 writes in 32 bytes')
    const write = protocol.encodeRegionAccess({ offset: 0, region: 0, count: 8, data: new Uint8Array(4) })
    expect(() => protocol.decodeRegionAccess(write, true)).toThrow('of 8 bytes came with 4')
    const irqs = protocol.encodeIrqSet({ flags: 0x22, index: 2, start: 0, count: 9, data: new Uint8Array(8) })
    expect(() => protocol.decodeIrqSet(irqs)).toThrow(IxyError)
  })

  test.each([
    '{',
    '[]',
    '{"capabilities":[]}',
    '{"capabilities":{"max_msg_fds":"8"}}',
    '"x"',
    'null',
    '{"capabilities":{"write_multiple":1}}',
    '{"capabilities":{"max_dma_maps":-1}}',
  ])('capabilities %s are refused', (json) => {
    const payload = Buffer.concat([Buffer.alloc(4), Buffer.from(json)])
    expect(() => protocol.decodeVersion(payload)).toThrow(IxyError)
  })
})

test('commands have names', () => {
  expect(protocol.commandName(2)).toBe('DMA_MAP')
  expect(protocol.commandName(99)).toBe('command 99')
})
