import { CaptureCounts, Count } from '../../captures/counts.ts'
import { Command, Kind, RingProducer } from '../../captures/frame-ring.ts'
import type { App, AppSteps, WorkerContext } from '../../engine/app.ts'
import { MonotonicClock } from '../../linux/monotonic.ts'
import { type Bytes, bytesOver } from '../../packet/bytes.ts'
import { makeFilter } from '../../packet/filter/translate.ts'
import type { CaptureJob, CaptureOptions } from './options.ts'
import { planCapture } from './plan.ts'
import { Quota } from './quota.ts'

/** The app's counters, as the user sees them, in the order of Count, from TAKEN on. */
const NAMES = ['captured', 'filtered_out', 'dropped', 'after_end'] as const

/** Takes everything in at its port, and hands what the filter accepts to a thread that writes it, or to the main thread, which shows it. */
export const capture: App<CaptureOptions, CaptureJob> = {
  name: 'capture',
  ports: { min: 1, max: 1 },
  counters: NAMES,
  plan: planCapture,
  make: makeCapture,
}

function makeCapture(context: WorkerContext, job: CaptureJob): AppSteps {
  const {
    memory,
    batchSize,
    ports: [{ rx }],
    counters: shown,
    worker,
  } = context
  const { receive } = rx
  const { snapLength, clock: startOfSecond } = job
  const bytes: Bytes = bytesOver(memory.u8.buffer, memory.u8.byteOffset, memory.u8.length)
  const ring = job.ring === null ? null : new RingProducer(job.ring)
  const filter = job.filter === null ? null : makeFilter(job.filter)
  const quota = job.quota === null ? null : new Quota(job.quota)
  const counts = new CaptureCounts(job.counts).ofQueue(worker)
  const clock = new MonotonicClock()
  const batch = memory.batch(batchSize)
  /** Of the batch, what the filter has accepted. */
  const accepted = memory.batch(batchSize)
  /** [0]: packets that were dropped since the last one that wasn't. [1]: 1 once packets flow. */
  const state = new Float64Array(2)

  /** Puts up to `most` of `accepted[0 … count - 1]` into the ring; returns how many, and counts those for which there is no room. */
  const handOn = (to: RingProducer, count: number, most: number): number => {
    const time = clock.now() - startOfSecond
    let put = 0
    let i = 0
    for (; i < count && put < most; i++) {
      const id = accepted[i]
      const length = memory.size[id]
      if (state[0] !== 0 && to.mark(Kind.SKIPPED, 0, state[0])) state[0] = 0
      const kept = length < snapLength ? length : snapLength
      // A mark may have got the last room.
      if (state[0] === 0 && to.put(bytes, memory.dataOffset(id), kept, 0, 0, time, length)) put++
      else state[0]++
    }
    counts[Count.DROPPED] += i - put
    counts[Count.AFTER_END] += count - i
    if (put > 0 && state[1] !== 0) to.publish()
    return put
  }

  /** Puts into `accepted` those of the batch that the filter accepts; returns how many. */
  const select = (received: number): number => {
    let matching = 0
    for (let i = 0; i < received; i++) {
      const id = batch[i]
      const length = memory.size[id]
      if (filter === null || filter(memory.u8, memory.dataOffset(id), length, length))
        accepted[matching++] = id
    }
    return matching
  }

  return {
    begin(startedAt) {
      // 0: it is only a rehearsal.
      if (startedAt === 0) return
      state[1] = 1
      if (worker === 0) ring?.setCommand(Command.GO)
    },
    step() {
      const received = receive(batch, batchSize)
      if (received === 0) return 0
      const matching = select(received)
      // A rehearsal uses nothing up.
      const limit = state[1] === 0 ? null : quota
      const wanted = limit === null ? matching : limit.take(matching)
      const put = ring === null ? wanted : handOn(ring, matching, wanted)
      if (ring === null) counts[Count.AFTER_END] += matching - wanted
      if (limit !== null && put < wanted) limit.giveBack(wanted - put)
      memory.free(batch, 0, received)
      counts[Count.RECEIVED] += received
      counts[Count.FILTERED_OUT] += received - matching
      counts[Count.TAKEN] += put
      for (let i = 0; i < NAMES.length; i++) shown[i] = counts[Count.TAKEN + i]
      return received
    },
    done: () => quota !== null && quota.usedUp,
    reset() {
      ring?.forget()
      state.fill(0)
      counts.fill(0)
    },
  }
}
