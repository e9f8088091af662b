import fc from 'fast-check'
import { allocateBytes, type Bytes, copyBytes } from '../../../src/packet/bytes.ts'
import { Burst } from '../../../src/vnic/burst.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { GenWire } from '../../../src/vnic/wires/gen.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { buildTestFrame, encodeGenerator, frameCheck } from '../../../src/vnic/wires/test-frame.ts'
import {
  IDENTITY,
  IDENTITY_END,
  NONCE,
  SEQUENCE,
  SEQUENCE_END,
  TOUCHED,
} from '../../../src/vnic/wires/test-frame-layout.ts'
import { FakePort, pollAll, someFrame } from './fake-port.ts'

/** A ledger, and `count` frames of one generator registered with it. */
function traffic(count: number, { size = 60, flows = 1, ledger = new Ledger(0x1234) } = {}) {
  const port = new FakePort()
  pollAll(new GenWire('gen', { sizes: [size], flows, rate: null, count }, ledger, true), port)
  const receive = (i: number) => ledger.receive(port.frames[i], 0, size)
  return { ledger, frames: port.frames, receive, tally: () => ledger.tally(0) }
}

const clean = { undelivered: 0, duplicated: 0, reordered: 0, corrupted: 0, late: 0 }

/** Byte of the generator's number. */
const GENERATOR = 49

function identifies(byte: number): boolean {
  return (byte >= IDENTITY && byte < IDENTITY_END) || (byte >= SEQUENCE && byte < SEQUENCE_END)
}

function flip(frame: Bytes, bit: number): Bytes {
  const copy = allocateBytes(frame.u8.length)
  copy.u8.set(frame.u8)
  copy.u8[bit >>> 3] ^= 1 << (bit & 7)
  return copy
}

test('what arrives once and in order is received, the rest is lost', () => {
  const { receive, tally, ledger } = traffic(100)
  for (let i = 0; i < 90; i++) expect(receive(i)).toBe(true)
  expect(tally()).toEqual({ sent: 100, received: 90, lost: 10, ...clean })
  expect(ledger.outstanding()).toBe(10)
  // What the NIC has dropped at once will never come out.
  ledger.sent(0, 5, 3)
  expect(tally()).toMatchObject({ sent: 105, undelivered: 3, lost: 15 })
  expect(ledger.outstanding()).toBe(12)
})

test('each frame of a burst is booked once, whatever stands beside it', () => {
  const { ledger, frames, tally } = traffic(4)
  const [a, b, c, d] = frames
  const [short, zeros, foreign] = [someFrame(1, 59), allocateBytes(60), buildTestFrame(0x4321, 0, 60, 0)]
  const burst = new Burst()
  const space = sharedSpace()
  const all = [a, a, b, foreign, short, zeros, c, c, d]
  burst.count = all.length
  all.forEach((frame, i) => {
    burst.offsets[i] = space.take(64)
    burst.lengths[i] = frame.u8.length
    copyBytes(frame, 0, space.bytes, burst.offsets[i], frame.u8.length)
  })
  burst.lengths[4] = 59
  expect(ledger.receiveBurst(burst)).toBe(3)
  expect(tally()).toEqual({ sent: 4, received: 4, lost: 0, ...clean, duplicated: 2 })
})

test('a gap is loss, not reordering', () => {
  const { receive, tally } = traffic(3)
  receive(0)
  receive(2)
  expect(tally()).toEqual({ sent: 3, received: 2, lost: 1, ...clean })
})

test('duplicates, reordering and loss are told apart, whatever happens within the window', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 49 }), { maxLength: 200 }), (arrivals) => {
      const { receive, tally } = traffic(50)
      const seen = new Set<number>()
      let highest = -1
      let [duplicated, reordered] = [0, 0]
      for (const i of arrivals) {
        receive(i)
        if (seen.has(i)) duplicated++
        else if (i < highest) reordered++
        seen.add(i)
        highest = Math.max(highest, i)
      }
      const received = seen.size
      expect(tally()).toEqual({ ...clean, sent: 50, received, lost: 50 - received, duplicated, reordered })
    }),
  )
})

test('order is kept per flow: flows may overtake each other', () => {
  const { receive, tally } = traffic(8, { flows: 2 })
  for (const i of [1, 3, 5, 7, 0, 2, 4, 6]) receive(i)
  expect(tally()).toMatchObject({ received: 8, reordered: 0 })
  const other = traffic(8, { flows: 2 })
  for (const i of [0, 1, 4, 2, 3]) other.receive(i)
  expect(other.tally()).toMatchObject({ received: 5, reordered: 1 })
})

test('a duplicate is found 65,535 frames later, and of one older than the window nothing is claimed', () => {
  const { receive, tally } = traffic(65_537 + 5)
  for (let i = 0; i < 65_536; i++) receive(i)
  receive(0)
  expect(tally().duplicated).toBe(1)
  for (let i = 65_536; i < 65_542; i++) receive(i)
  expect(tally()).toMatchObject({ received: 65_542, duplicated: 1, reordered: 0, lost: 0 })
  receive(3)
  expect(tally()).toMatchObject({ received: 65_542, duplicated: 1, reordered: 0, late: 1 })
})

test('a frame that comes out behind 65,536 later ones is late, not lost and not a duplicate', () => {
  const { receive, tally } = traffic(65_542)
  for (let i = 1; i < 65_542; i++) receive(i)
  receive(0)
  expect(tally()).toMatchObject({ received: 65_541, late: 1, duplicated: 0, lost: 0 })
})

test.each([60, 61, 62, 63, 64, 75, 76, 566, 1514])(
  'every flipped bit of %i bytes is seen, and whose frame it was',
  (size) => {
    const step = size > 100 ? 11 : 1
    const bits = Array.from({ length: Math.ceil((size * 8) / step) }, (_, i) => i * step).filter((bit) => {
      const byte = bit >>> 3
      return byte !== TOUCHED && !identifies(byte)
    })
    const { frames, ledger } = traffic(bits.length, { size, flows: 2 })
    bits.forEach((bit, i) => {
      if (!ledger.receive(flip(frames[i], bit), 0, size)) throw new Error(`bit ${bit} makes it foreign`)
      if (ledger.tally(0).corrupted !== i + 1) throw new Error(`bit ${bit} goes unnoticed`)
    })
    expect(ledger.tally(0)).toMatchObject({ received: 0, lost: 0 })
  },
)

test('a damaged frame is counted once: what comes after it, damaged or not, is a duplicate of it', () => {
  const { frames, ledger } = traffic(2)
  ledger.receive(flip(frames[1], 8), 0, 60)
  ledger.receive(flip(frames[1], 17), 0, 60)
  ledger.receive(frames[1], 0, 60)
  ledger.receive(frames[0], 0, 60)
  ledger.receive(flip(frames[0], 8), 0, 60)
  expect(ledger.tally(0)).toMatchObject({ received: 1, corrupted: 1, duplicated: 3, lost: 0 })
})

test('with a flipped bit in what identifies it, a frame is nobody’s', () => {
  const { frames, ledger } = traffic(1)
  for (const byte of [NONCE, 44, GENERATOR])
    expect(ledger.receive(flip(frames[0], byte * 8), 0, 60)).toBe(false)
  expect(ledger.tally(0)).toMatchObject({ received: 0, corrupted: 0 })
})

test('byte 48 may change: forward --touch writes there', () => {
  const { frames, ledger } = traffic(256)
  frames.forEach((frame, i) => {
    frame.u8[48] += i
    expect(ledger.receive(frame, 0, 60)).toBe(true)
  })
  expect(ledger.tally(0)).toEqual({ ...clean, sent: 256, received: 256, lost: 0 })
})

test('frames that were cut, extended, mixed of two, or whose words changed places are corrupted', () => {
  const { frames, ledger } = traffic(5, { size: 100 })
  expect(ledger.receive(frames[0], 0, 99)).toBe(true)
  const longer = allocateBytes(101)
  copyBytes(frames[1], 0, longer, 0, 100)
  expect(ledger.receive(longer, 0, 101)).toBe(true)
  const mixed = allocateBytes(100)
  copyBytes(frames[3], 0, mixed, 0, 56)
  copyBytes(frames[2], 56, mixed, 56, 44)
  expect(ledger.receive(mixed, 0, 100)).toBe(true)
  const swapped = allocateBytes(100)
  copyBytes(frames[4], 0, swapped, 0, 100)
  ;[swapped.u32[20], swapped.u32[21]] = [swapped.u32[21], swapped.u32[20]]
  expect(ledger.receive(swapped, 0, 100)).toBe(true)
  expect(ledger.tally(0)).toMatchObject({ received: 0, corrupted: 4, lost: 1 })
})

test('frames are understood at any alignment', () => {
  const { frames, ledger } = traffic(3, { size: 61 })
  for (const offset of [1, 2, 3]) {
    const memory = allocateBytes(80)
    copyBytes(frames[offset - 1], 0, memory, offset, 61)
    expect(ledger.receive(memory, offset, 61)).toBe(true)
  }
  expect(ledger.tally(0)).toMatchObject({ received: 3, corrupted: 0 })
})

describe('foreign frames', () => {
  test('of anyone else', () => {
    const { ledger, tally } = traffic(1)
    for (const length of [14, 42, 59, 60, 1514])
      expect(ledger.receive(someFrame(length, length), 0, length)).toBe(false)
    expect(tally()).toMatchObject({ received: 0, corrupted: 0 })
  })

  test('of a generator in another process', () => {
    const { frames } = traffic(1, { ledger: new Ledger(1) })
    const { ledger } = traffic(1, { ledger: new Ledger(0xffff) })
    expect(ledger.receive(frames[0], 0, 60)).toBe(false)
    expect(ledger.tally(0)).toMatchObject({ received: 0, corrupted: 0 })
  })

  test('any bytes at all', () => {
    const { ledger } = traffic(1)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 200 }), (data) => {
        const memory = allocateBytes(200)
        memory.u8.set(data)
        expect(ledger.receive(memory, 0, data.length)).toBe(false)
      }),
    )
  })
})

test('sequence numbers wrap around after 2^32', () => {
  const { frames, ledger } = traffic(1)
  const send = (sequence: number) => {
    frames[0].u32[14] = sequence
    frames[0].u32[13] = frameCheck(frames[0], 60)
    ledger.receive(frames[0], 0, 60)
  }
  // The first and last two numbers of some windows stand for all those in between.
  for (const window of [0, 0x4000_0000, 0x8000_0000, 0xc000_0000, 0xffff_0000])
    for (const slot of [0, 1, 0xfffe, 0xffff]) send(window + slot)
  expect(ledger.tally(0)).toMatchObject({ received: 20, duplicated: 0, reordered: 0 })
  send(1)
  send(0xffff_ffff)
  send(0)
  send(1)
  expect(ledger.tally(0)).toMatchObject({ received: 22, duplicated: 2, reordered: 1, corrupted: 0 })
})

test('a process has at most 16 generators', () => {
  const ledger = new Ledger()
  for (let i = 0; i < 16; i++) {
    expect(ledger.register()).toBe(i)
    // A number and its complement: no byte stands for two.
    expect(encodeGenerator(i)).toBe(i + 16 * (15 - i))
  }
  expect(() => ledger.register()).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
})
