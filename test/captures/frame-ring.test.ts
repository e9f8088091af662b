import fc from 'fast-check'
import { createRing, Flag, Kind, RingConsumer, RingProducer, State } from '../../src/captures/frame-ring.ts'
import { bytesOver } from '../../src/packet/bytes.ts'
import { frame } from './build.ts'

const SIZE = 4096
const bytesOf = (length: number, seed: number) => bytesOver(frame((length + 3) & ~3, seed).buffer)

function pair() {
  const memory = createRing(SIZE)
  return { producer: new RingProducer(memory), consumer: new RingConsumer(memory) }
}

function contents(consumer: RingConsumer): Buffer {
  return Buffer.from(consumer.memory.u8.slice(consumer.offset, consumer.offset + consumer.length))
}

test('frames come out as they went in, in order, with what was said of them', () => {
  const step = fc.oneof(
    fc.record({ put: fc.integer({ min: 0, max: 600 }) }),
    fc.record({ take: fc.integer({ min: 1, max: 20 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 400 }), (steps) => {
      const { producer, consumer } = pair()
      const inside: { length: number; seed: number }[] = []
      let seed = 0
      for (const one of steps) {
        if ('put' in one) {
          seed++
          if (producer.put(bytesOf(one.put, seed), 0, one.put, 60, seed & 3, seed / 3, seed))
            inside.push({ length: one.put, seed })
          else expect(inside.length).toBeGreaterThan(2)
          producer.publish()
          continue
        }
        for (let i = 0; i < one.take && consumer.peek() === Kind.FRAME; i++) {
          const { length, seed } = inside.shift() as { length: number; seed: number }
          const expected = Buffer.alloc(Math.max(60, length))
          Buffer.from(bytesOf(length, seed).u8.subarray(0, length)).copy(expected)
          const { flags, time, number } = consumer
          // expect() for each frame would take longer than all the rest.
          if (
            !contents(consumer).equals(expected) ||
            flags !== (seed & 3) ||
            time !== seed / 3 ||
            number !== seed
          )
            expect({ contents: contents(consumer), flags, time, number }).toEqual({
              contents: expected,
              flags: seed & 3,
              time: seed / 3,
              number: seed,
            })
          consumer.shift()
        }
        consumer.release()
      }
    }),
    { numRuns: 100 },
  )
})

test('nothing is seen before it is published, nothing is overwritten before it is released', () => {
  const { producer, consumer } = pair()
  const put = () => producer.put(bytesOf(1001, 1), 0, 1001, 60, 0, 0, 0)
  expect([put(), put(), put(), put()]).toEqual([true, true, true, false])
  expect(consumer.peek()).toBe(Kind.NONE)
  producer.publish()
  expect(consumer.peek()).toBe(Kind.FRAME)
  consumer.shift()
  expect(put()).toBe(false)
  consumer.release()
  // Behind the third there is too little room, so it stands in the first's place.
  expect([put(), put()]).toEqual([true, false])
})

test('what holds everything can be read again from its start, and knows when it no longer does', () => {
  const { producer, consumer } = pair()
  for (let i = 0; i < 3; i++) producer.put(bytesOf(1000, i), 0, 1000, 60, 0, 0, i)
  expect(producer.holdsAll()).toBe(true)
  producer.mark(Kind.ROUND_END, Flag.WHOLE, 0)
  producer.publish()
  const numbers: number[] = []
  for (let round = 0; round < 3; round++) {
    while (consumer.peek() === Kind.FRAME) {
      numbers.push(consumer.number)
      consumer.shift()
    }
    consumer.release()
    consumer.restart()
  }
  expect(numbers).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2])
  expect(producer.put(bytesOf(1000, 9), 0, 1000, 60, 0, 0, 9)).toBe(true)
  expect(producer.holdsAll()).toBe(false)
})

test('state and end are seen by the other side', () => {
  const { producer, consumer } = pair()
  expect(producer.waitForState(State.RUNNING, 1)).toBe(State.RUNNING)
  consumer.setState(State.FAILED)
  expect(producer.waitForState(State.RUNNING, 10_000)).toBe(State.FAILED)
})
