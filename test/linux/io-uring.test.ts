import { close, tryRead, tryWrite } from '../../src/linux/file.ts'
import {
  createRing,
  IORING_OP_READV,
  IORING_OP_WRITEV,
  Ring,
  type RingPlace,
} from '../../src/linux/io-uring.ts'
import { mmap, munmap, viewOf } from '../../src/linux/mapping.ts'
import { createUnixPair } from '../../src/linux/socket.ts'
import { describeIf, firstLine } from '../skip.ts'

function obstacle(): string | null {
  try {
    createRing(4).close()
    return null
  } catch (error) {
    return firstLine(error)
  }
}

const EAGAIN = -11
const EBADF = -9

describeIf(obstacle(), 'an io_uring', () => {
  const entries = 8
  const bytes = 4096
  const [here, there] = createUnixPair()
  const address = mmap(bytes)
  const memory = new Uint8Array(viewOf(address, bytes))
  const vectors = new BigUint64Array(memory.buffer, 0, 2 * entries)
  const data = 1024
  let made: { place: RingPlace; close: () => void }
  let ring: Ring

  beforeAll(() => {
    made = createRing(entries)
    ring = new Ring(made.place)
  })
  afterAll(() => {
    made.close()
    munmap(address, bytes)
    close(here)
    close(there)
  })

  const base = { low: Number(address & 0xffff_ffffn), high: Number(address >> 32n) }
  const run = (operation: number, fd: number, pieces: readonly (readonly [number, number])[]): number[] => {
    pieces.forEach(([at, length], i) => {
      vectors[2 * i] = address + BigInt(data + at)
      vectors[2 * i + 1] = BigInt(length)
    })
    const results = new Int32Array(entries)
    const first = Uint16Array.from(pieces.keys())
    ring.run(operation, fd, base, first, new Uint16Array(entries).fill(1), pieces.length, results)
    return [...results.subarray(0, pieces.length)]
  }

  test('reads until nothing is left, without waiting, any number of times', () => {
    const message = new Uint8Array(3)
    for (let round = 0; round < 3 * entries; round++) {
      message.fill(round)
      expect(tryWrite(there, message, 3)).toBe(3)
      const room: [number, number][] = [
        [0, 2],
        [2, 2],
        [4, 2],
      ]
      expect(run(IORING_OP_READV, here, room)).toEqual([2, 1, EAGAIN])
      expect([...memory.subarray(data, data + 4)]).toEqual([round, round, round, 0])
    }
  })

  test('writes in order, of several pieces each', () => {
    memory.set([1, 2, 3, 4, 5, 6], data)
    const results = new Int32Array(2)
    vectors.set([0, 2, 2, 1, 3, 3].map((n, i) => (i % 2 === 0 ? address + BigInt(data + n) : BigInt(n))))
    ring.run(IORING_OP_WRITEV, here, base, Uint16Array.of(2, 0), Uint16Array.of(1, 2), 2, results)
    expect([...results]).toEqual([3, 3])
    const got = new Uint8Array(16)
    expect(tryRead(there, got, 16)).toBe(6)
    expect([...got.subarray(0, 6)]).toEqual([4, 5, 6, 1, 2, 3])
  })

  test('tells each one’s error', () => {
    expect(run(IORING_OP_READV, 1000, [[0, 1]])).toEqual([EBADF])
    expect(run(IORING_OP_READV, here, [[0, 1]])).toEqual([EAGAIN])
  })
})
