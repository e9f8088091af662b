import fc from 'fast-check'
import { GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import type { TxQueue } from '../../../src/driver/device.ts'
import { DEFAULT_TEMPLATE, buildFrame } from '../../../src/packet/template.ts'
import { POOL, POOL_SHIFT, makeMemory, packet } from './memory.ts'

const sizes = fc.array(fc.integer({ min: 60, max: 1514 }), { minLength: 1, maxLength: 5 })
const batches = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 })

test('workers send together what one would send: each packet of the run once, of its size, flow and number', () => {
  fc.assert(
    fc.property(
      sizes,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 9 }),
      batches,
      (lengths, flows, of, wanted) => {
        const plan = planFrames(DEFAULT_TEMPLATE, lengths, { sourcePort: flows })
        for (let index = 0; index < of; index++) {
          const memory = makeMemory()
          const source = new GeneratedFrames(memory, POOL, plan, { index, of })
          const batch = new Int32Array(40)
          let sent = 0
          for (const count of wanted) {
            const made = source.next(batch, count)
            expect(made).toBe(Math.min(count, 1 << POOL_SHIFT))
            for (const id of batch.subarray(0, made)) {
              const number = index + of * sent++
              const expected = Buffer.from(
                buildFrame(DEFAULT_TEMPLATE, lengths[number % lengths.length], number % flows),
              )
              expected.writeUInt32LE(number, expected.length - 4)
              expect(packet(memory, id).equals(expected)).toBe(true)
            }
            // Freed in another order than allocated, so that buffers change their frames.
            memory.free(batch.slice(0, made).reverse(), 0, made)
          }
          expect(source.sent).toBe(sent)
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('flows and numbers of a tagged frame stand behind its tag', () => {
  const memory = makeMemory()
  const template = { ...DEFAULT_TEMPLATE, vlans: [7] }
  const source = new GeneratedFrames(memory, POOL, planFrames(template, [64], { sourcePort: 3 }), {
    index: 1,
    of: 2,
  })
  const batch = new Int32Array(2)
  source.next(batch, 2)
  const expected = Buffer.from(buildFrame(template, 64, 0))
  expected.writeUInt32LE(3, 60)
  expect(packet(memory, batch[1]).equals(expected)).toBe(true)
})

test('an empty pool gives nothing, and the turn is not lost', () => {
  const memory = makeMemory()
  const source = new GeneratedFrames(memory, POOL, planFrames(DEFAULT_TEMPLATE, [60, 100]), {
    index: 0,
    of: 1,
  })
  const all = new Int32Array(33)
  expect(source.next(all, 33)).toBe(32)
  expect(source.next(all.slice(), 1)).toBe(0)
  memory.free(all, 1, 1)
  const one = new Int32Array(1)
  expect(source.next(one, 1)).toBe(1)
  expect(packet(memory, one[0]).length).toBe(60)
  expect(packet(memory, one[0]).readUInt32LE(56)).toBe(32)
})

test('what a queue makes by itself is counted as it says, not as it was asked', () => {
  const source = new GeneratedFrames(makeMemory(), POOL, planFrames(DEFAULT_TEMPLATE, [60]), {
    index: 0,
    of: 1,
  })
  const queue: Partial<TxQueue> = { generator: () => (wanted) => Math.min(wanted, 5) }
  const send = source.sender(queue as TxQueue)
  expect([send?.(3), send?.(32)]).toEqual([3, 5])
  expect(source.sent).toBe(8)
})
