import type { App, AppSteps, WorkerContext } from '../../engine/app.ts'
import { MonotonicClock } from '../../linux/monotonic.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { LINE_RATE_MEMORY, Pacer } from '../../packet/pacer.ts'
import { wireBits } from '../../packet/rate.ts'
import { Answerer, NOT_ANSWERED } from './answerer.ts'
import { CaptureFrames } from './capture-source.ts'
import { type FrameSource, GeneratedFrames } from './frame-source.ts'
import { LatencyBook } from './latency.ts'
import { LatencyProbe } from './latency-probe.ts'
import type { PktgenJob, PktgenOptions, PktgenTally, ProbeJob, StreamJob } from './options.ts'
import { planPktgen } from './plan.ts'
import { makeSender } from './sender.ts'
import { shareOf } from './share.ts'
import { StreamFrames } from './stream-source.ts'
import { TimedPackets } from './timed-packet.ts'
import { WireDesk } from './wire-desk.ts'

/** Of `budget`. */
const LEFT = 0
const ALLOWED = 1

/** Sends packets out of its port, and takes in what comes back. What is received must not overwrite what is to be sent: two pools. */
export const pktgen: App<PktgenOptions, PktgenJob> = {
  name: 'pktgen',
  ports: { min: 1, max: 1 },
  pools: 1,
  generates: true,
  plan: planPktgen,
  make: (context, job) => makePktgen(context, context.rehearsal ? rehearsalOf(job) : job),
}

/** Never at its end, at a rate that doesn't hold it up (no whole number, see packet/pacer.ts), and with a book of its own. */
function rehearsalOf(job: PktgenJob): PktgenJob {
  const { rate, probe, frames } = job
  return {
    ...job,
    count: null,
    rate: rate === null ? null : 1e9 + 0.5,
    frames: frames.kind === 'streams' ? { ...frames, streams: frames.streams.map(rehearsedStream) } : frames,
    probe: probe === null ? null : rehearsedProbe(probe),
  }
}

function rehearsedProbe({ timed, ...probe }: ProbeJob): ProbeJob {
  const books = probe.books.map(() => LatencyBook.allocate())
  return { ...probe, books, timed: timed === null ? null : { ...timed, desk: WireDesk.allocate() } }
}

function rehearsedStream(stream: StreamJob): StreamJob {
  return { ...stream, count: null, rate: stream.rate === null ? null : 1e9 + 0.5 }
}

/** Sends this worker's share of the job's packets. With `probe`, they are stamped, and what becomes of them is written there. */
function makePktgen(context: WorkerContext, job: PktgenJob): AppSteps {
  const {
    memory,
    batchSize,
    ports: [{ rx, tx }],
  } = context
  const { share } = job
  const pacer = makePacer(job)
  const clock = new MonotonicClock()
  const source = makeSource(context, job, pacer, clock)
  const probe = makeProbe(memory, job)
  const timed = makeTimed(context, job, source)
  const answerer = job.answers === null ? null : new Answerer(memory, job.answers)
  const { receive } = rx
  const { room, transmit } = tx
  const received = memory.batch(batchSize)
  const stamping = probe === null ? null : { probe, timed, clock }
  const send = makeSender(memory, tx, source, batchSize, stamping)
  /** Packets that are still to be sent, and that the pacer has allowed. In an array, as variables would be objects per step. */
  const budget = Float64Array.of(limitOf(job), pacer === null ? Infinity : 0)
  let quiet = false

  return {
    begin(startedAt) {
      // Packet k of the run is due k / rate after its start, whichever worker sends it. A mere limit owes nothing for the time before.
      if (pacer !== null && job.rate !== null && !job.limitOnly)
        pacer.begin(startedAt + (share.index / job.rate) * 1000)
      source.begin?.(startedAt)
      probe?.begin(startedAt)
    },
    step() {
      const taken = receive(received, batchSize)
      if (probe !== null && taken > 0) {
        clock.read()
        probe.collect(received, taken, clock.last)
      }
      const answers = answerer === null ? 0 : answerer.answer(received, taken, room())
      if (answers > 0) transmit(received, 0, answers)
      memory.free(received, answers, taken - answers)
      if (quiet) return taken
      // The clock is asked only when there is too little left for a batch.
      if (pacer !== null && budget[ALLOWED] < batchSize) {
        clock.read()
        budget[ALLOWED] = pacer.allowanceAt(clock.last)
      }
      const wanted = Math.min(batchSize, budget[LEFT], budget[ALLOWED])
      if (wanted <= 0) return taken
      const count = send(wanted)
      budget[LEFT] -= count
      budget[ALLOWED] -= count
      pacer?.spend(count)
      return taken + count
    },
    quiet: () => {
      quiet = true
    },
    done: () => budget[LEFT] === 0,
    result: (): PktgenTally => ({
      sent: source.sentOfEach,
      answered: answerer?.answered ?? NOT_ANSWERED,
    }),
  }
}

/** Packets of this worker's share. */
function limitOf({ frames, count, share }: PktgenJob): number {
  if (frames.kind !== 'streams') return shareOf(count, share)
  return frames.streams.reduce((sum, stream) => sum + shareOf(stream.count, share), 0)
}

function makeProbe(memory: PacketMemory, { probe, share }: PktgenJob): LatencyProbe | null {
  if (probe === null) return null
  const books = probe.books.map((book) => new LatencyBook(book))
  return new LatencyProbe(memory, books, probe, share.of)
}

/** The first worker sends those that the card stamps. */
function makeTimed(
  { memory, ports: [{ tx }], rehearsal }: WorkerContext,
  { probe, share }: PktgenJob,
  source: FrameSource,
): TimedPackets | null {
  if (probe === null || probe.timed === null || share.index !== 0) return null
  return new TimedPackets(memory, tx, source, probe.timed, probe.layouts, rehearsal)
}

function makePacer({ rate, limitOnly, share }: PktgenJob): Pacer | null {
  if (rate === null) return null
  return limitOnly ? new Pacer(rate / share.of, LINE_RATE_MEMORY) : new Pacer(rate / share.of)
}

function makeSource(
  { memory, pools: [pool], rehearsal }: WorkerContext,
  { frames, share, rate, rateFrameBytes }: PktgenJob,
  pacer: Pacer | null,
  clock: MonotonicClock,
): FrameSource {
  if (frames.kind === 'plan') return new GeneratedFrames(memory, pool, frames.plan, share)
  if (frames.kind === 'streams') {
    return new StreamFrames(memory, pool, frames.streams, share, clock)
  }
  // A rate in bits is kept from block to block, as a long capture isn't the same throughout.
  const onBlock = (averageFrameBytes: number): void => {
    if (pacer === null || rate === null || rateFrameBytes === null) return
    pacer.change((rate * wireBits(1, rateFrameBytes)) / wireBits(1, averageFrameBytes) / share.of)
  }
  return new CaptureFrames(memory, pool, frames.capture, share, { onBlock, rehearsal })
}
