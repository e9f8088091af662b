import fc from 'fast-check'
import { PacketMemory, bufferShiftFor, packetMemoryBytes } from '../../src/memory/packets.ts'

const POOL_SHIFT = 4

function make(pools = 2, pageBytes = 1 << 15): PacketMemory {
  const bytes = packetMemoryBytes(11, POOL_SHIFT, pools)
  const pageIovas = Float64Array.from(
    { length: bytes / pageBytes },
    (_, page) => 2 ** 40 + (100 - page) * 2 ** 21,
  )
  const spec = {
    address: 0n,
    pageIovas,
    pageBytes,
    pageOffset: 0,
    bufferShift: 11,
    poolShift: POOL_SHIFT,
    pools,
  }
  return new PacketMemory(spec, new ArrayBuffer(bytes))
}

/** The IOVA of `id` as a number, read back from its bit pattern. */
function iovaOf(memory: PacketMemory, id: number): number {
  const [low, high] = new Uint32Array(memory.iova.buffer, id * 8, 2)
  return low + high * 2 ** 32
}

test('buffers hold the frames they are made for', () => {
  expect(bufferShiftFor(1518)).toBe(11)
  expect(bufferShiftFor(9018)).toBe(14)
})

test('packets lie inside their own buffers and leave room for the largest frame', () => {
  const memory = make()
  for (let id = 0; id < memory.size.length; id++) {
    expect(memory.dataOffset(id)).toBeGreaterThanOrEqual(id * 2048 + 64)
    expect(memory.dataOffset(id) + 1518).toBeLessThanOrEqual((id + 1) * 2048)
    expect(memory.dataOffset(id) % 64).toBe(0)
  }
})

test('IOVAs follow the pages, which need not be contiguous', () => {
  const memory = make()
  for (let id = 0; id < memory.size.length; id++) {
    const offset = memory.dataOffset(id)
    const page = Math.floor(offset / 32768)
    expect(iovaOf(memory, id)).toBe(2 ** 40 + (100 - page) * 2 ** 21 + (offset % 32768))
  }
})

test('IOVAs take the offset in the first page into account', () => {
  const spec = { pageIovas: new Float64Array([2 ** 32, 2 ** 33]), pageBytes: 65536, pageOffset: 32768 }
  const memory = new PacketMemory(
    { address: 0n, ...spec, bufferShift: 11, poolShift: 5, pools: 1 },
    new ArrayBuffer(65536),
  )
  expect(iovaOf(memory, 0)).toBe(2 ** 32 + 32768 + memory.dataOffset(0))
  expect(iovaOf(memory, 16)).toBe(2 ** 33 + memory.dataOffset(16) - 32768)
})

test('a pool gives away what it has and no more', () => {
  const memory = make()
  const ids = new Int32Array(40)
  expect(memory.allocate(1, ids, 40)).toBe(16)
  expect(memory.allocate(1, ids, 1)).toBe(0)
  expect(memory.available(0)).toBe(16)
  expect([...ids.subarray(0, 16)].every((id) => id >> POOL_SHIFT === 1)).toBe(true)
})

test('more buffers than ids are refused', () => {
  const spec = { address: 0n, pageIovas: new Float64Array(1), pageBytes: 2 ** 30, pageOffset: 0 }
  expect(
    () => new PacketMemory({ ...spec, bufferShift: 11, poolShift: 16, pools: 2 }, new ArrayBuffer(0)),
  ).toThrow('16 bits')
})

test('whatever is allocated and freed in whatever order, no id is lost or given away twice', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('allocate' as const), pool: fc.nat(1), count: fc.nat(20) }),
    fc.record({ kind: fc.constant('free' as const), count: fc.nat(20), pick: fc.nat() }),
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const memory = make()
      const held: number[] = []
      const batch = new Int32Array(32)
      for (const step of operations) {
        if (step.kind === 'allocate') {
          const count = memory.allocate(step.pool, batch, step.count)
          for (const id of batch.subarray(0, count)) {
            expect(held).not.toContain(id)
            held.push(id)
          }
        } else {
          const start = held.length === 0 ? 0 : step.pick % held.length
          const freed = held.splice(start, step.count)
          batch.set(freed, 3)
          memory.free(batch, 3, freed.length)
        }
        expect(held.length + memory.available(0) + memory.available(1)).toBe(32)
      }
    }),
  )
})
