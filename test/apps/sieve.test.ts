import { makeSieve } from '../../src/apps/sieve.ts'
import { PacketMemory, packetMemoryBytes } from '../../src/memory/packets.ts'
import type { FilterProgram } from '../../src/packet/filter/program.ts'
import { FakePort } from '../examples/fake-ports.ts'

const POOL_SHIFT = 6

/** len >= 100: ld len; jge #100; ret. */
const long: FilterProgram = {
  expression: 'greater 100',
  instructions: [
    { code: 0x80, jt: 0, jf: 0, k: 0 },
    { code: 0x35, jt: 0, jf: 1, k: 100 },
    { code: 0x06, jt: 0, jf: 0, k: 1 },
    { code: 0x06, jt: 0, jf: 0, k: 0 },
  ],
}

function setUp(rehearsal: boolean) {
  const pages = { address: 0n, pageIovas: new Float64Array(1), pageBytes: 2 ** 30, pageOffset: 0 }
  const spec = { ...pages, bufferShift: 11, poolShift: POOL_SHIFT, pools: 1 }
  const memory = new PacketMemory(spec, new ArrayBuffer(packetMemoryBytes(11, POOL_SHIFT, 1)))
  const port = new FakePort(memory, 0)
  const batch = memory.batch(8)
  const receive = (...sizes: readonly number[]): Int32Array => {
    memory.allocate(0, batch, sizes.length)
    sizes.forEach((size, i) => (memory.size[batch[i]] = size))
    return batch
  }
  return { memory, port, receive, sieve: makeSieve(long, memory, port, 8, rehearsal) }
}

test('what matches stays in order, the rest is freed and counted', () => {
  const { memory, port, receive, sieve } = setUp(false)
  const batch = receive(99, 100, 60, 1500, 101)
  const ids = [...batch]
  expect(sieve.sift(batch, 5)).toBe(3)
  expect([...batch.subarray(0, 3)]).toEqual([ids[1], ids[3], ids[4]])
  expect([port.filteredOut, memory.available(0)]).toEqual([2, 64 - 3])
  memory.free(batch, 0, 3)
  expect(sieve.sift(receive(60, 60), 2)).toBe(0)
  expect(sieve.sift(receive(100), 1)).toBe(1)
  expect([port.filteredOut, memory.available(0)]).toEqual([4, 64 - 1])
})

test('in a rehearsal every other packet passes, whatever it is', () => {
  const { receive, sieve } = setUp(true)
  expect(sieve.sift(receive(60, 60, 60, 60), 4)).toBe(2)
  sieve.reset()
  expect(sieve.sift(receive(60, 60, 60, 60), 4)).toBe(0)
})
