import fc from 'fast-check'
import { CaptureFrames } from '../../../src/apps/pktgen/capture-source.ts'
import { BLOCKS, BlockProgress, CaptureBlock } from '../../../src/captures/blocks.ts'
import type { SharedCapture } from '../../../src/captures/messages.ts'
import type { Share } from '../../../src/apps/pktgen/options.ts'
import type { PacketMemory } from '../../../src/memory/packets.ts'
import { bytesOver } from '../../../src/packet/bytes.ts'
import { POOL, makeMemory, packet } from './memory.ts'

const quiet = { onBlock: () => undefined, rehearsal: false }

/** A frame that tells its number, of a length by its number. */
function frame(number: number): Buffer {
  const bytes = Buffer.alloc(14 + ((number * 7) % 90), number & 0xff)
  bytes.writeUInt32LE(number, 4)
  return bytes
}

function add(block: CaptureBlock, bytes: Buffer): void {
  const padded = new Uint8Array((bytes.length + 3) & ~3)
  padded.set(bytes)
  expect(block.add(bytesOver(padded.buffer), 0, bytes.length)).toBe(true)
}

/** Blocks of so many frames each, numbered from `first`. */
function blocksOf(counts: readonly number[], first = 0): CaptureBlock[] {
  let number = first
  return counts.map((count) => {
    const block = new CaptureBlock()
    for (let i = 0; i < count; i++) add(block, frame(number++))
    return block
  })
}

function capture(blocks: readonly CaptureBlock[], progress: SharedArrayBuffer | null = null): SharedCapture {
  return { blocks: blocks.map(({ memory }) => memory), progress }
}

function publish(progress: SharedArrayBuffer, blocks: number): void {
  for (let i = 0; i < blocks; i++) new BlockProgress(progress).publish()
}

/** Numbers of the frames that come with the next batch; checks their bytes, and frees them in another order. */
function take(memory: PacketMemory, source: CaptureFrames, wanted: number): number[] {
  const batch = new Int32Array(40)
  const count = source.next(batch, wanted)
  const numbers = [...batch.subarray(0, count)].map((id) => {
    const bytes = packet(memory, id)
    const number = bytes.readUInt32LE(4)
    expect(bytes.equals(frame(number))).toBe(true)
    return number
  })
  memory.free(batch.slice(0, count).reverse(), 0, count)
  return numbers
}

test('workers send together what one would send, over and over', () => {
  const counts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 })
  const batches = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 })
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 50 }), fc.nat(49), batches, (frames, of, some, wanted) => {
      const index = some % of
      const memory = makeMemory()
      const source = new CaptureFrames(memory, POOL, capture(blocksOf(frames)), { index, of }, quiet)
      const period = frames.reduce((sum, count) => sum + count, 0)
      let sent = 0
      for (const count of wanted) {
        const numbers = take(memory, source, count)
        expect(numbers.length).toBe(Math.min(count, 32))
        for (const number of numbers) expect(number).toBe((index + of * sent++) % period)
      }
      expect(source.sent).toBe(sent)
      expect(memory.available(POOL)).toBe(32)
    }),
    { numRuns: 60 },
  )
})

describe('a capture that is streamed', () => {
  const share = (index: number): Share => ({ index, of: 2 })

  test('comes block by block, each used again once all workers are through; nobody waits', () => {
    const blocks = blocksOf([3, 3])
    const memory = BlockProgress.create(2)
    publish(memory, 2)
    const progress = new BlockProgress(memory)
    const shared = capture(blocks, memory)
    const memories = [makeMemory(), makeMemory()]
    const sources = memories.map((own, i) => new CaptureFrames(own, POOL, shared, share(i), quiet))
    expect(take(memories[0], sources[0], 10)).toEqual([0, 2, 4])
    expect(take(memories[0], sources[0], 10)).toEqual([])
    expect(memories[0].available(POOL)).toBe(32)
    expect(take(memories[1], sources[1], 1)).toEqual([1])
    expect(take(memories[1], sources[1], 1)).toEqual([3])

    // Both are through with the first block.
    expect(progress.awaitPassed(1)).toBe(true)
    blocks[0].clear()
    for (let number = 6; number < 10; number++) add(blocks[0], frame(number))
    // Not published: what stands in it is not looked at.
    expect(take(memories[0], sources[0], 10)).toEqual([])
    progress.publish()
    expect(take(memories[0], sources[0], 10)).toEqual([6, 8])
    expect(take(memories[1], sources[1], 10)).toEqual([5, 7, 9])
  })

  test('isn’t touched by a rehearsal', () => {
    const memory = BlockProgress.create(1)
    publish(memory, 2)
    const own = makeMemory()
    const source = new CaptureFrames(
      own,
      POOL,
      capture(blocksOf([2, 2]), memory),
      { index: 0, of: 1 },
      { onBlock: () => undefined, rehearsal: true },
    )
    const before = [...new Int32Array(memory)]
    for (let i = 0; i < 5; i++) expect(source.next(new Int32Array(32), 6)).toBe(6)
    expect([...new Int32Array(memory)]).toEqual(before)
  })

  test('tells the average size of each block', () => {
    const told: number[] = []
    const own = makeMemory()
    const blocks = blocksOf([2, 3])
    const source = new CaptureFrames(
      own,
      POOL,
      capture(blocks),
      { index: 0, of: 1 },
      {
        onBlock: (average) => told.push(average),
        rehearsal: false,
      },
    )
    take(own, source, 6)
    const averages = blocks.map(({ bytes, frames }) => bytes / frames)
    expect(told).toEqual([averages[0], averages[1], averages[0]])
  })
})

test('whoever waits for readers is woken when it is called off', () => {
  const progress = new BlockProgress(BlockProgress.create(2))
  progress.callOff()
  expect(progress.awaitPassed(1)).toBe(false)
})

test('a block takes what it has room for', () => {
  const block = new CaptureBlock()
  const big = bytesOver(new ArrayBuffer(9016))
  let frames = 0
  while (block.add(big, 0, 9014)) frames++
  expect(frames).toBe(Math.floor(2 ** 20 / 9016))
  expect([block.frames, block.bytes]).toEqual([frames, frames * 9014])
  block.clear()
  frames = 0
  while (block.add(big, 0, 14)) frames++
  expect(frames).toBe(2 ** 20 / 64)
  expect(BLOCKS).toBeGreaterThan(1)
})
