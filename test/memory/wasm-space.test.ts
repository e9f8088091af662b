import { viewOf } from '../../src/linux/mapping.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { PacketMemory } from '../../src/memory/packets.ts'
import { WasmSpace, fitsWasm } from '../../src/memory/wasm-space.ts'

const MIB = 2 ** 20

test('what is written at the address of the arena stands in the memory, and the other way round', () => {
  const arena = new DmaArena(3 * MIB, false)
  const { address, bytes } = arena.file
  const space = new WasmSpace(arena.file)
  const there = new Uint32Array(viewOf(address, bytes))
  const here = new Uint32Array(space.buffer, space.offsetOf(address), bytes / 4)
  for (let i = 0; i < there.length; i += 997) there[i] = i + 1
  for (let i = 0; i < here.length; i += 997) expect(here[i]).toBe(i + 1)
  here[here.length - 1] = 4711
  expect(there[there.length - 1]).toBe(4711)
  expect(space.offsetOf(address + 4096n)).toBe(space.offsetOf(address) + 4096)
  arena.close()
})

test('the memory keeps the pages when the arena is closed', () => {
  const arena = new DmaArena(MIB, false)
  const space = new WasmSpace(arena.file)
  const here = new Uint8Array(space.buffer, space.offsetOf(arena.file.address), MIB)
  here[5] = 6
  arena.close()
  expect(here[5]).toBe(6)
})

test('addresses outside of the arena are refused', () => {
  const arena = new DmaArena(MIB, false)
  const space = new WasmSpace(arena.file)
  const { address, bytes } = arena.file
  expect(() => space.offsetOf(address - 1n)).toThrow('not in the DMA arena')
  expect(() => space.offsetOf(address + BigInt(bytes))).toThrow('not in the DMA arena')
  arena.close()
})

test('packet tables and batches stand in the memory and do not overlap', () => {
  const arena = new DmaArena((2 ** 12) << 11, false)
  const spec = arena.takePackets(11, 11, 2)
  const space = new WasmSpace(arena.file)
  const memory = new PacketMemory(spec, space)
  const arrays = [memory.size, memory.iova, memory.freeStack, memory.freeTop, memory.u8]
  const all = [...arrays, memory.batch(33), memory.batch(32)]
  const spans = all
    .map(({ buffer, byteOffset, byteLength }) => {
      expect(buffer).toBe(space.buffer)
      return [byteOffset, byteOffset + byteLength]
    })
    .sort(([a], [b]) => a - b)
  for (let i = 1; i < spans.length; i++) expect(spans[i][0]).toBeGreaterThanOrEqual(spans[i - 1][1])
  expect(memory.available(1)).toBe(2048)
  arena.close()
})

test('memory in front of the arena is zero, aligned and limited', () => {
  const arena = new DmaArena(MIB, false)
  const space = new WasmSpace(arena.file)
  const [a, b] = [space.take(10), space.take(10)]
  expect(a % 64).toBe(0)
  expect(b - a).toBe(64)
  expect(() => space.take(2 * MIB)).toThrow('no room')
  arena.close()
})

test('an arena that 32-bit addresses do not reach is refused, with a way out', () => {
  const arena = { address: 4096n, bytes: 4096 * MIB, pageBytes: 2 * MIB, fd: -1 }
  expect(fitsWasm(arena)).toBe(false)
  expect(fitsWasm({ ...arena, bytes: 4092 * MIB })).toBe(true)
  expect(() => new WasmSpace(arena)).toThrow('4096 MiB of DMA memory')
})
