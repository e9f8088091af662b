import { capture } from '../../../src/apps/capture/app.ts'
import type { CaptureJob } from '../../../src/apps/capture/options.ts'
import { Quota } from '../../../src/apps/capture/quota.ts'
import { CaptureCounts } from '../../../src/captures/counts.ts'
import { createRing, Kind, RingConsumer } from '../../../src/captures/frame-ring.ts'
import type { RxQueue, TxQueue } from '../../../src/driver/device.ts'
import type { AppSteps } from '../../../src/engine/app.ts'
import type { FilterProgram } from '../../../src/packet/filter/program.ts'
import { PacketMemory, packetMemoryBytes } from '../../../src/memory/packets.ts'

const SHIFT = 11
const POOL_SHIFT = 6

/** A worker whose card always has as many packets of 60 bytes as it is told. */
class Bench {
  readonly counts: CaptureCounts
  readonly shown = new Float64Array(4)
  readonly steps: AppSteps
  readonly consumer: RingConsumer
  readonly memory: PacketMemory
  private waiting = 0

  /** `rehearsed`: packets of a rehearsal, which has taken place before packets flow. */
  constructor(job: Partial<CaptureJob> = {}, rehearsed = 0, ringBytes = 4096) {
    const pageIovas = new Float64Array(1)
    const bytes = packetMemoryBytes(SHIFT, POOL_SHIFT, 1)
    const spec = {
      address: 0n,
      pageIovas,
      pageBytes: bytes,
      pageOffset: 0,
      bufferShift: SHIFT,
      poolShift: POOL_SHIFT,
      pools: 1,
    }
    const memory = new PacketMemory(spec, new ArrayBuffer(bytes))
    this.memory = memory
    const counts = CaptureCounts.allocate(1)
    this.counts = new CaptureCounts(counts)
    const ring = createRing(ringBytes)
    this.consumer = new RingConsumer(ring)
    const rx: Pick<RxQueue, 'receive'> = {
      receive: (batch, limit) => {
        const taken = memory.allocate(0, batch, Math.min(limit, this.waiting))
        this.waiting -= taken
        for (let i = 0; i < taken; i++) memory.size[batch[i]] = 60
        return taken
      },
    }
    this.steps = capture.make(
      {
        ports: [{ rx: rx as RxQueue, tx: {} as TxQueue, filteredOut: 0 }],
        memory,
        pools: [],
        batchSize: 32,
        counters: this.shown,
        worker: 0,
        workers: 1,
        rehearsal: false,
        wasm: null,
      },
      { ring, counts, snapLength: 40, clock: 0, quota: null, filter: null, ...job },
    )
    if (rehearsed > 0) {
      this.steps.begin?.(0)
      this.receive(rehearsed)
      this.steps.reset?.()
    }
    this.steps.begin?.(1)
  }

  receive(packets: number): void {
    this.waiting += packets
    while (this.waiting > 0) this.steps.step()
  }

  /** Frames in the ring, and how many packets it says were lost. */
  consume(): { frames: number; skipped: number } {
    const found = { frames: 0, skipped: 0 }
    for (let kind = this.consumer.peek(); kind !== Kind.NONE; kind = this.consumer.peek()) {
      if (kind === Kind.FRAME) found.frames++
      else found.skipped += this.consumer.number
      this.consumer.shift()
    }
    this.consumer.release()
    return found
  }
}

test('every packet has one fate, and its buffer is given back', () => {
  const bench = new Bench()
  bench.receive(50)
  // 4096 bytes hold 64 records of 24 + 40 bytes.
  expect(bench.counts.totals()).toMatchObject({ received: 50, taken: 50, dropped: 0 })
  bench.receive(50)
  expect(bench.counts.totals()).toMatchObject({
    received: 100,
    taken: 64,
    dropped: 36,
    filteredOut: 0,
    afterEnd: 0,
  })
  expect(bench.memory.freeTop[0]).toBe(64)
  expect(bench.consume()).toEqual({ frames: 64, skipped: 0 })
  // What was lost in between is told with the next one.
  bench.receive(1)
  expect(bench.consume()).toEqual({ frames: 1, skipped: 36 })
  expect([...bench.shown]).toEqual([65, 0, 36, 0])
})

test('a quota is kept to the packet; what is dropped does not count', () => {
  const bench = new Bench({ quota: Quota.allocate(70) })
  bench.receive(100)
  expect(bench.counts.totals()).toMatchObject({ received: 100, taken: 64, dropped: 36, afterEnd: 0 })
  expect(bench.steps.done?.()).toBe(false)
  bench.consume()
  bench.receive(100)
  expect(bench.counts.totals()).toMatchObject({ received: 200, taken: 70, dropped: 36, afterEnd: 94 })
  expect(bench.steps.done?.()).toBe(true)
})

test('what the filter keeps out is counted as that, also once a quota is used up', () => {
  // len >= 61: nothing of this bench; then everything.
  const filter = (shortest: number): FilterProgram => ({
    expression: `len >= ${shortest}`,
    instructions: [
      { code: 0x80, jt: 0, jf: 0, k: 0 },
      { code: 0x35, jt: 0, jf: 1, k: shortest },
      { code: 0x06, jt: 0, jf: 0, k: 1 },
      { code: 0x06, jt: 0, jf: 0, k: 0 },
    ],
  })
  const none = new Bench({ filter: filter(61) })
  none.receive(50)
  expect(none.counts.totals()).toMatchObject({ received: 50, taken: 0, filteredOut: 50, afterEnd: 0 })
  const all = new Bench({ filter: filter(60), quota: Quota.allocate(7) })
  all.receive(50)
  expect(all.counts.totals()).toMatchObject({ received: 50, taken: 7, filteredOut: 0, afterEnd: 43 })
})

test('a rehearsal that fills the ring leaves nothing behind, and the quota as it was', () => {
  const bench = new Bench({ quota: Quota.allocate(3) }, 200)
  expect(bench.counts.totals()).toMatchObject({ received: 0, taken: 0, dropped: 0 })
  bench.receive(32)
  expect(bench.counts.totals()).toMatchObject({ received: 32, taken: 3, dropped: 0, afterEnd: 29 })
  expect(bench.consume()).toEqual({ frames: 3, skipped: 0 })
})

test('each packet that was dropped is told once, however little room there is', () => {
  // A mark takes 24 bytes, a record 64: after the first the ring often has room for a mark alone.
  const bench = new Bench({}, 0, 256)
  let [frames, skipped] = [0, 0]
  for (let round = 0; round < 50; round++) {
    bench.receive(1 + (round % 7))
    if (round % 3 === 0) continue
    const found = bench.consume()
    frames += found.frames
    skipped += found.skipped
  }
  bench.consume()
  bench.receive(1)
  const last = bench.consume()
  const { taken, dropped } = bench.counts.totals()
  expect([frames + last.frames, skipped + last.skipped]).toEqual([taken, dropped])
  expect(dropped).toBeGreaterThan(50)
})

test('without a ring packets are counted', () => {
  const bench = new Bench({ ring: null })
  bench.receive(1000)
  expect(bench.counts.totals()).toMatchObject({ received: 1000, taken: 1000, dropped: 0 })
  const few = new Bench({ ring: null, quota: Quota.allocate(70) })
  few.receive(100)
  expect(few.counts.totals()).toMatchObject({ received: 100, taken: 70, dropped: 0, afterEnd: 30 })
})

test('what a rehearsal has put into the ring is forgotten', () => {
  const bench = new Bench()
  bench.steps.reset?.()
  bench.receive(30)
  bench.steps.reset?.()
  expect(bench.counts.totals()).toMatchObject({ received: 0, taken: 0 })
  expect([...bench.shown]).toEqual([30, 0, 0, 0])
  expect(bench.consume()).toEqual({ frames: 0, skipped: 0 })
})
