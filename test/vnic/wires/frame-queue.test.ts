import fc from 'fast-check'
import { allocateBytes } from '../../../src/packet/bytes.ts'
import { FrameQueue } from '../../../src/vnic/wires/frame-queue.ts'
import { someFrame } from './fake-port.ts'

function front(queue: FrameQueue): string {
  return Buffer.from(queue.memory.u8.buffer, queue.offset, queue.length).toString('hex')
}

test('whatever goes in comes out, in order and unchanged', () => {
  const push = fc.oneof(fc.integer({ min: 0, max: 130 }), fc.constant(60))
  // Half of the steps take a frame out: the queue runs empty everywhere.
  fc.assert(
    fc.property(
      fc.array(fc.oneof(push, fc.constant(null)), { maxLength: 300 }),
      fc.integer({ min: 300, max: 700 }),
      (steps, capacity) => {
        const queue = new FrameQueue(capacity)
        const expected: string[] = []
        steps.forEach((length, i) => {
          if (length !== null) {
            const frame = allocateBytes(length + 3)
            const offset = i & 3
            for (let k = 0; k < length; k++) frame.u8[offset + k] = i + k
            if (queue.push(frame, offset, length))
              expected.push(Buffer.from(frame.u8.buffer, offset, length).toString('hex'))
          } else if (expected.length > 0) {
            expect(front(queue)).toBe(expected.shift())
            queue.shift()
          }
          expect([queue.frames, queue.empty]).toEqual([expected.length, expected.length === 0])
        })
        while (expected.length > 0) {
          expect(front(queue)).toBe(expected.shift())
          queue.shift()
        }
        expect(queue.empty).toBe(true)
        // Nothing leaks: an empty queue takes as much as a new one.
        const most = queue.memory.u8.length - 4
        expect(queue.push(someFrame(1, most), 0, most)).toBe(true)
      },
    ),
  )
})

test('is full when the bytes are used up, and goes on after a shift', () => {
  const queue = new FrameQueue(64 * 4)
  const frame = someFrame(7)
  const fits = (): number => {
    let count = 0
    while (queue.push(frame, 0, 60)) count++
    return count
  }
  expect(fits()).toBe(4)
  queue.shift()
  expect(fits()).toBe(1)
  expect(queue.push(frame, 0, 60)).toBe(false)
})

test('refuses what never fits', () => {
  expect(new FrameQueue(64).push(someFrame(1, 64), 0, 64)).toBe(false)
})
