import fc from 'fast-check'
import { FrameSource } from '../../src/apps/pktgen.ts'
import { PacketMemory, packetMemoryBytes } from '../../src/memory/packets.ts'

const POOL = 1
const POOL_SHIFT = 5

function makeMemory(): PacketMemory {
  const bytes = packetMemoryBytes(11, POOL_SHIFT, 2)
  const spec = { address: 0n, pageIovas: new Float64Array(1), pageBytes: bytes, pageOffset: 0 }
  return new PacketMemory(
    { ...spec, bufferShift: 11, poolShift: POOL_SHIFT, pools: 2 },
    new ArrayBuffer(bytes),
  )
}

function packet(memory: PacketMemory, id: number): Buffer {
  return Buffer.from(memory.u8.buffer, memory.dataOffset(id), memory.size[id])
}

test('frames come in turn with a running number, whichever buffers they get', () => {
  const sizes = fc.array(fc.integer({ min: 60, max: 1514 }), { minLength: 1, maxLength: 5 })
  const batches = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 })
  fc.assert(
    fc.property(sizes, batches, (lengths, wanted) => {
      const memory = makeMemory()
      const frames = lengths.map((length, i) => new Uint8Array(length).fill(i + 1))
      const source = new FrameSource(memory, POOL, frames, true)
      const batch = new Int32Array(40)
      let sent = 0
      for (const count of wanted) {
        const made = source.next(batch, count)
        expect(made).toBe(Math.min(count, 1 << POOL_SHIFT))
        for (const id of batch.subarray(0, made)) {
          const bytes = packet(memory, id)
          const frame = frames[sent % frames.length]
          expect(bytes.subarray(0, -4).equals(frame.subarray(0, -4))).toBe(true)
          expect(bytes.readUInt32LE(bytes.length - 4)).toBe(sent++)
        }
        // Freed in another order than allocated, so that buffers change their frames.
        memory.free(batch.slice(0, made).reverse(), 0, made)
      }
      expect(source.sent).toBe(sent)
    }),
  )
})

test('frames without numbers stay as they are', () => {
  const memory = makeMemory()
  const frame = Uint8Array.from({ length: 60 }, (_, i) => i)
  const source = new FrameSource(memory, POOL, [frame], false)
  const batch = new Int32Array(3)
  expect(source.next(batch, 3)).toBe(3)
  for (const id of batch) expect(packet(memory, id).equals(frame)).toBe(true)
})

test('an empty pool gives nothing, and the turn is not lost', () => {
  const memory = makeMemory()
  const frames = [1, 2].map((value) => new Uint8Array(60).fill(value))
  const source = new FrameSource(memory, POOL, frames, false)
  const all = new Int32Array(33)
  expect(source.next(all, 33)).toBe(32)
  expect(source.next(all.slice(), 1)).toBe(0)
  memory.free(all, 0, 1)
  const one = new Int32Array(1)
  expect(source.next(one, 1)).toBe(1)
  expect(packet(memory, one[0])[0]).toBe(1)
})
