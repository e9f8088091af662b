/** The loops of src/vnic/wasm against the long way: the same frames, the same everything. */
import fc from 'fast-check'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Burst, BURST } from '../../../src/vnic/burst.ts'
import { RxQueue } from '../../../src/vnic/model/rx-queue.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { frameOf, type Host, runningHost } from './host.ts'

const COUNTERS = [
  ...[REG.GPRC, REG.GORCL, REG.MPRC, REG.BPRC, REG.TPR, REG.TORL, REG.MPC, REG.ROC, REG.RUC, REG.QPRC],
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

const burst = new Burst()
const base = sharedSpace().take(BURST * 4096)

const frames = fc.array(aFrame, { minLength: 1, maxLength: 2 * BURST })

test('what is delivered in bursts arrives as if it came frame by frame', () => {
  fc.assert(
    fc.property(frames, (list) => {
      const [slow, fast] = [runningHost({ inspect: false }), runningHost({ fast: true })]
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
    }),
    { numRuns: 60 },
  )
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
