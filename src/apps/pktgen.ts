import type { DataPlane } from '../engine/data-plane.ts'
import type { LatencyBook } from '../engine/latency.ts'
import type { PktgenJob } from '../engine/worker-spec.ts'
import { MonotonicClock } from '../linux/monotonic.ts'
import type { PacketMemory } from '../memory/packets.ts'
import { LINE_RATE_MEMORY, Pacer } from '../packet/pacer.ts'
import { wireBits } from '../packet/rate.ts'
import { CaptureFrames } from './capture-source.ts'
import { type FrameSource, GeneratedFrames } from './frame-source.ts'
import { LatencyProbe } from './latency-probe.ts'

/** The pools of a pktgen worker: what is received must not overwrite what is to be sent. */
const TRANSMIT_POOL = 1

/**
 * Sends this worker's share of the job's packets out of the first port, and takes in what comes back, until told to
 * stop. With `latency`, packets are stamped, and what becomes of them is written there. `rehearsal`: see warm-up.ts.
 */
export function pktgen(
  plane: DataPlane,
  job: PktgenJob,
  latency: LatencyBook | null,
  rehearsal: boolean,
): void {
  const { memory, batchSize } = plane
  const { rx, tx } = plane.ports[0]
  const { share, probeKey } = job
  const limit =
    job.count === null ? Infinity : Math.floor((job.count + share.of - 1 - share.index) / share.of)
  const pacer = makePacer(job, plane.startedAt)
  const clock = new MonotonicClock()
  const source = makeSource(memory, job, pacer, rehearsal)
  const probe =
    latency === null || probeKey === null
      ? null
      : new LatencyProbe(memory, latency, probeKey, plane.startedAt)
  const received = memory.batch(batchSize)
  const takeIn = (): number => {
    const count = rx.receive(received, batchSize)
    if (probe !== null && count > 0) probe.collect(received, count, clock.now())
    memory.free(received, 0, count)
    return count
  }
  const batch = memory.batch(batchSize)

  /** Packets that the pacer has allowed and that are not sent yet. */
  let allowed = pacer === null ? Infinity : 0
  if (limit === 0) plane.finished()
  while (plane.running()) {
    const taken = takeIn()
    // The clock is asked only when there is too little left for a batch.
    if (pacer !== null && allowed < batchSize) allowed = pacer.allowance(clock.now())
    const wanted = Math.min(batchSize, limit - source.sent, tx.room(), allowed)
    if (wanted <= 0 || plane.quiet) {
      plane.rest(taken)
      continue
    }

    const count = source.next(batch, wanted)
    if (count === 0) {
      plane.rest(taken)
      continue
    }
    if (probe !== null) probe.stamp(batch, count, clock.now())
    tx.transmit(batch, 0, count)
    allowed -= count
    pacer?.spend(count)
    if (source.sent === limit) plane.finished()
  }
  plane.drain(takeIn)
}

/** Packet k of the run is due k / rate after its start, whichever worker sends it. */
function makePacer({ rate, limitOnly, share }: PktgenJob, startedAt: number): Pacer | null {
  if (rate === null) return null
  const pacer = limitOnly ? new Pacer(rate / share.of, LINE_RATE_MEMORY) : new Pacer(rate / share.of)
  pacer.begin(startedAt + (share.index / rate) * 1000)
  return pacer
}

function makeSource(
  memory: PacketMemory,
  { frames, share, rate, rateFrameBytes }: PktgenJob,
  pacer: Pacer | null,
  rehearsal: boolean,
): FrameSource {
  if (frames.kind === 'plan') return new GeneratedFrames(memory, TRANSMIT_POOL, frames.plan, share)
  // A rate in bits is kept from block to block, as a long capture isn't the same throughout.
  const onBlock = (averageFrameBytes: number): void => {
    if (pacer === null || rate === null || rateFrameBytes === null) return
    pacer.change((rate * wireBits(1, rateFrameBytes)) / wireBits(1, averageFrameBytes) / share.of)
  }
  return new CaptureFrames(memory, TRANSMIT_POOL, frames.capture, share, { onBlock, rehearsal })
}
