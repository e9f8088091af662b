/** The loops of src/vnic/wasm against the long way: the same frames, the same everything. */
import fc from 'fast-check'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Burst, BURST } from '../../../src/vnic/burst.ts'
import { RxQueue } from '../../../src/vnic/model/rx-queue.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { frameOf, type Host, runningHost } from './host.ts'
import { internetChecksum, sctp4, sctp6, tcp4, tcp6, udp4 } from './packets.ts'

const COUNTERS = [
  ...[REG.GPRC, REG.GORCL, REG.MPRC, REG.BPRC, REG.TPR, REG.TORL, REG.MPC, REG.ROC, REG.RUC, REG.QPRC],
  REG.XEC,
  ...[REG.PRC64, REG.PRC127, REG.PRC255, REG.PRC511, REG.PRC1023, REG.PRC1522],
  ...[REG.GPTC, REG.GOTCL, REG.MPTC, REG.BPTC, REG.QPTC, REG.PTC64, REG.PTC127, REG.PTC1522],
]

const EVERYONE = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
const GROUP = Uint8Array.of(0x01, 0x00, 0x5e, 0x00, 0x00, 0x01)
const ALMOST = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xfe)

const aFrame = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: 60, max: 1514 }),
      fc.constantFrom(10, 14, 59, 60, 61, 123, 124, 1514, 1515, 3000),
    ),
    fc.constantFrom(frameOf(60).subarray(0, 6), EVERYONE, GROUP, ALMOST),
    fc.nat(),
  )
  .map(([length, to, seed]) => {
    const frame = frameOf(Math.max(20, length), to)
    new DataView(frame.buffer).setUint32(14, seed)
    return frame.slice(0, length)
  })

const state = (host: Host): unknown => ({
  counters: COUNTERS.map((register) => host.read(register)),
  heads: [host.read(REG.RDH), host.read(REG.TDH)],
  received: Array.from({ length: 64 }, (_, i) => host.received(i)),
  breaches: host.breaches(),
})

afterEach(() => jest.restoreAllMocks())

const burst = new Burst()
const base = sharedSpace().take(BURST * 4096)

const frames = fc.array(aFrame, { minLength: 1, maxLength: 2 * BURST })

/** Delivers the frames to one host one by one, to the other in bursts; then both have the same. */
function deliverBoth(list: readonly Uint8Array[], slow: Host, fast: Host): void {
  for (let from = 0; from < list.length; from += burst.count) {
    burst.count = Math.min(BURST - 1, list.length - from)
    burst.first = 1
    let delivered = 0
    for (let i = 0; i < burst.count; i++) {
      const frame = list[from + i]
      burst.offsets[burst.first + i] = base + i * 4096 + (i & 7)
      burst.lengths[burst.first + i] = frame.length
      burst.memory.u8.set(frame, burst.offsets[burst.first + i])
      const padded = { u8: Uint8Array.from([...frame, 0, 0, 0]), u32: new Uint32Array(0) }
      if (slow.device.deliver(aligned(padded.u8), 0, frame.length)) delivered++
    }
    expect(fast.device.deliverBurst(burst)).toBe(delivered)
  }
  for (const host of [slow, fast]) host.poll()
  expect(state(fast)).toEqual(state(slow))
}

test('what is delivered in bursts arrives as if it came frame by frame', () => {
  fc.assert(
    fc.property(frames, (list) => {
      deliverBoth(list, runningHost({ inspect: false }), runningHost({ fast: true }))
    }),
    { numRuns: 60 },
  )
})

const IP_AT = 14
const bytes = fc.uint8Array({ maxLength: 200 }).map((payload) => [...payload])
const aPacket = fc.oneof(
  ...[tcp4, udp4].map((make) => bytes.map((payload) => make('10.0.0.1', 1, '10.0.0.2', 2, payload))),
  bytes.map((payload) => tcp6('fe80::1', 1, 'fe80::2', 2, payload)),
  ...[sctp4, sctp6].map((make) => bytes.map((payload) => make(payload))),
  aFrame.filter(({ length }) => length <= 1514),
)
/** A byte of a header set to something else, most often one that says how long or of what kind it is. */
const aChange = fc.oneof(
  fc.record({ at: fc.nat({ max: 80 }), to: fc.nat({ max: 255 }) }),
  fc.record({ at: fc.constantFrom(12, 13), to: fc.constantFrom(0, 8, 0x81, 0x86, 0xdd) }),
  fc.record({ at: fc.constant(14), to: fc.constantFrom(0x41, 0x44, 0x45, 0x46, 0x55, 0x60) }),
  fc.record({ at: fc.constantFrom(17, 19), to: fc.nat({ max: 60 }) }),
  fc.record({ at: fc.constantFrom(16, 18, 20, 21), to: fc.constantFrom(0, 1, 0x20, 0x40, 0x80) }),
  fc.record({ at: fc.constantFrom(20, 23), to: fc.constantFrom(0, 1, 6, 17, 43, 44, 58, 60, 132) }),
)
/** Its IPv4 header has the right sum again, so that what lies behind it counts. */
function mended(packet: Uint8Array): Uint8Array {
  if (packet[12] !== 0x08 || packet[13] !== 0) return packet
  packet.fill(0, IP_AT + 10, IP_AT + 12)
  const sum = internetChecksum([...packet.subarray(IP_AT, IP_AT + 20)])
  packet.set([sum >> 8, sum & 0xff], IP_AT + 10)
  return packet
}
const aSuspect = fc
  .tuple(aPacket, fc.array(aChange, { maxLength: 2 }), fc.boolean(), fc.nat({ max: 6 }))
  .map(([packet, changes, mend, padding]) => {
    const frame = Uint8Array.from([...packet, ...new Array<number>(padding).fill(0x5a)])
    for (const { at, to } of changes) if (at < frame.length) frame[at] = to
    return mend ? mended(frame) : frame
  })

test.each([true, false])(
  'what a card looks into in bursts it sees as frame by frame; tags are taken off: %p',
  (strip) => {
    const extra = strip ? REG.RXDCTL.fields.VME.mask : 0
    fc.assert(
      fc.property(fc.array(aSuspect, { minLength: 1, maxLength: BURST }), (list) => {
        const hosts = [runningHost({ inspect: true }), runningHost({ fast: true, inspect: true })]
        for (const host of hosts) host.modify(REG.RXDCTL, extra)
        deliverBoth(list, hosts[0], hosts[1])
      }),
      { numRuns: 150 },
    )
  },
)

test('ordinary packets go in bursts also where a card looks into them', () => {
  const host = runningHost({ fast: true, inspect: true })
  const bad = udp4('10.0.0.1', 1, '10.0.0.2', 2)
  bad[bad.length - 1] ^= 1
  const ordinary = [
    tcp4('10.0.0.1', 1, '10.0.0.2', 2),
    udp4('10.0.0.1', 1, '10.0.0.2', 2),
    // Their last words are of two bytes, and of three.
    ...[22, 23].map((length) => udp4('10.0.0.1', 1, '10.0.0.2', 2, new Array<number>(length).fill(0x5a))),
    tcp6('fe80::1', 1, 'fe80::2', 2),
    frameOf(60),
  ]
  const bursts = jest.spyOn(RxQueue.prototype, 'putBurst')
  for (const frame of [frameOf(60), ...ordinary, bad]) host.wire.waiting.push(frame)
  host.poll()
  // The first one finds the region of the buffers.
  expect(bursts.mock.results.map(({ value }) => value as number)).toEqual([0, 1, 1, 1, 1, 1, 1, 0])
  expect(host.read(REG.XEC)).toBe(1)
})

function aligned(bytes: Uint8Array): { u8: Uint8Array; u32: Uint32Array } {
  const buffer = new ArrayBuffer((bytes.length + 3) & ~3)
  new Uint8Array(buffer).set(bytes)
  return { u8: new Uint8Array(buffer), u32: new Uint32Array(buffer) }
}

test('what is sent in bursts leaves as if it went frame by frame', () => {
  const sending = fc.array(fc.tuple(aFrame, fc.boolean()), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(sending, fc.nat({ max: 70 }), (list, capacity) => {
      const [slow, fast] = [runningHost(), runningHost({ fast: true })]
      for (const host of [slow, fast]) {
        host.wire.capacity = capacity
        list.forEach(([frame, report], i) => host.queueFrame(i, frame, report))
        host.write(REG.TDT, list.length)
        host.poll(3)
      }
      expect(fast.wire.sent).toEqual(slow.wire.sent)
      expect(state(fast)).toEqual(state(slow))
      const statuses = (host: Host) => list.map((_, i) => host.transmitStatus(i))
      expect(statuses(fast)).toEqual(statuses(slow))
    }),
    { numRuns: 60 },
  )
})

test('plain frames in shared memory do go in bursts', () => {
  const host = runningHost({ fast: true })
  const oneByOne = jest.spyOn(RxQueue.prototype, 'put')
  const bursts = jest.spyOn(RxQueue.prototype, 'putBurst')
  for (let i = 0; i < 3; i++) host.wire.waiting.push(frameOf(60))
  host.poll()
  // The first one finds the region of the buffers.
  expect(oneByOne).toHaveBeenCalledTimes(1)
  expect(bursts.mock.results.map(({ value }) => value as number)).toEqual([0, 1, 1])
})
