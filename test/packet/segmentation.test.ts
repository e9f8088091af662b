import fc from 'fast-check'
import { completeChecksum } from '../../src/packet/checksum.ts'
import { Segmentation } from '../../src/packet/segmentation.ts'
import { type Large, build, cutByHand, large } from './large-packets.ts'

const plan = new Segmentation()

/** Cut and completed, with `shift` bytes in front of the frame, in one memory or from one into another. */
function cut(packet: Large, shift: number, together: boolean): Uint8Array[] {
  const { frame, checksumStart, checksumOffset, headerBytes } = build(packet, true)
  const source = new Uint8Array(together ? 200_000 : shift + frame.length)
  source.set(frame, shift)
  expect(plan.aim(source, shift, frame.length, checksumStart, headerBytes, packet.segment)).toBe(true)
  const target = together ? source : new Uint8Array(100_000)
  return Array.from({ length: plan.count }, (_, k) => {
    const at = 100_000 - 3 - 9000
    const length = plan.write(k, target, at)
    completeChecksum(target, at + checksumStart, length - checksumStart, checksumOffset)
    return target.slice(at, at + length)
  })
}

const tcp = large(60_000).map((packet) => ({
  ...packet,
  udp: false,
  segment: Math.min(packet.segment, 8000),
}))

test('a large packet becomes the packets that are built one by one', () => {
  fc.assert(
    fc.property(tcp, fc.nat(8), fc.boolean(), (packet, shift, together) => {
      const made = cut(packet, shift, together)
      const wanted = cutByHand(packet)
      expect(made.length).toBe(wanted.length)
      const wrong = made.findIndex((frame, k) => Buffer.compare(frame, wanted[k]) !== 0)
      expect([wrong, Buffer.from(made[wrong] ?? []).toString('hex')]).toEqual([
        -1,
        wrong < 0 ? '' : Buffer.from(wanted[wrong]).toString('hex'),
      ])
    }),
    { numRuns: 300 },
  )
})

describe('what is no large packet of TCP is refused', () => {
  const packet: Large = {
    ...{ v6: false, udp: false, tag: null, ipOptions: 0, tcpOptions: 3, extended: false },
    ...{ identification: 1, sequence: 2, flags: 0x18, payload: new Uint8Array(3000), segment: 1000 },
  }
  const aim = (
    changes: Partial<Large>,
    {
      length = 0,
      start = 0,
      headers = 0,
      segment = 1000,
      spoil = null as ((frame: Uint8Array) => void) | null,
    } = {},
  ): boolean => {
    const { frame, checksumStart, headerBytes } = build({ ...packet, ...changes }, true)
    spoil?.(frame)
    const bytes = frame.length + length
    return plan.aim(frame, 0, bytes, checksumStart + start, headerBytes + headers, segment)
  }

  test('one that is', () => {
    expect(aim({})).toBe(true)
    expect(aim({ v6: true, extended: true })).toBe(true)
    expect(plan.count).toBe(3)
  })

  test.each([
    ['UDP', { udp: true }, {}],
    ['UDP in IPv6', { udp: true, v6: true }, {}],
    ['no payload', {}, { length: -3000 }],
    ['a segment of nothing', {}, { segment: 0 }],
    ['headers that end within that of TCP', {}, { headers: -13 }],
    ['the sum from elsewhere on', {}, { start: 2 }],
    ['the sum from elsewhere on, behind an extension', { v6: true, extended: true }, { start: -8 }],
    ['neither IPv4 nor IPv6', {}, { spoil: (frame: Uint8Array) => void frame.fill(9, 12, 14) }],
    ['the end within a tag', { tag: 5 }, { length: -3000 - 52 }],
  ])('%s', (_, changes, options) => {
    expect(aim(changes, options)).toBe(false)
    expect(plan.count).toBe(0)
  })
})
