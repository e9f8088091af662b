/** From options to what each worker is to do. */
import { randomInt } from 'node:crypto'
import { SharedFeed } from '../../captures/shared-feed.ts'
import type { Plan, PlanContext } from '../../engine/app.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { averageBytes, lineRate, packetsPerSecond } from '../../packet/rate.ts'
import { rate as readRate } from '../../quantity.ts'
import { LatencyBook, roundTripsOf } from './latency.ts'
import type { PktgenJob, PktgenOptions } from './options.ts'
import { probeLayoutOf } from './probe-layout.ts'
import { booksOf, type PktgenResult, resultOf } from './result.ts'
import { averageOfStreams, planStreams } from './stream-plan.ts'
import { planFrames } from './templates/frame-plan.ts'

/** What a percentage means while no link tells: the speed of the card. */
export const NOMINAL_MBIT = 10_000

/** Reads the capture, if there is one. Throws IXY_ERR_FILE if it can't be used, IXY_ERR_USAGE for a rate that no card can have. */
export async function planPktgen(options: PktgenOptions, context: PlanContext): Promise<Plan<PktgenJob>> {
  const feed = await openFeed(options, context)
  try {
    const jobs = (linkMbit: number): PktgenJob[] => makeJobs(options, context, feed, linkMbit)
    jobs(NOMINAL_MBIT)
    let made: readonly PktgenJob[] = []
    return {
      jobs: ([linkMbit]) => (made = jobs(linkMbit)),
      ...(feed === null ? {} : { failed: feed.failed }),
      result: (tallies): PktgenResult => resultOf(options, made, tallies),
      roundTrips: () => roundTripsOf(booksOf(options, made).flat()),
      close: () => feed?.close(),
    }
  } catch (error) {
    feed?.close()
    throw error
  }
}

function openFeed(
  { pcap }: PktgenOptions,
  { mtu, queues, log, stop }: PlanContext,
): Promise<SharedFeed | null> {
  if (pcap === null) return Promise.resolve(null)
  const longest = HEADER_BYTES + VLAN_TAG_BYTES + mtu
  const reading = { strict: false, speed: 1, gap: Infinity, mac: null, longest } as const
  return SharedFeed.open({ name: pcap, owner: 'self', ...reading }, queues, log, stop)
}

type Frames = Pick<SharedFeed, 'capture' | 'averageFrameBytes'>

/** One per queue. `feed`: the frames of the capture, if there is one. `linkMbit`: 0 without a link. */
export function makeJobs(
  options: PktgenOptions,
  { physical, queues }: Pick<PlanContext, 'physical' | 'queues'>,
  feed: Frames | null,
  linkMbit: number,
): PktgenJob[] {
  const { rate, count, shape, streams, latency, answer } = options
  const speed = linkMbit === 0 ? NOMINAL_MBIT : linkMbit
  const frameBytes =
    feed !== null
      ? feed.averageFrameBytes
      : streams === null
        ? averageBytes(shape.sizes)
        : averageOfStreams(streams)
  const inPackets = rate !== null && readRate(rate).of === 'packets'
  const [real] = physical
  const pace = paceOf(rate, frameBytes, speed, real)
  const common = {
    frames: framesOf(options, feed, pace, speed),
    rate: streams === null ? pace.rate : null,
    limitOnly: pace.limitOnly,
    rateFrameBytes: inPackets ? null : frameBytes,
    count,
    answers: answer.length === 0 ? null : { mac: macOf(options), addresses: answer },
  }
  const layouts = (streams ?? [options]).map((stream) => probeLayoutOf(stream.shape.template))
  const key = randomInt(2 ** 32)
  return Array.from({ length: queues }, (_, index) => ({
    ...common,
    share: { index, of: queues },
    probe: latency ? { key, layouts, books: layouts.map(() => LatencyBook.allocate()) } : null,
  }))
}

function framesOf(
  { shape, streams }: PktgenOptions,
  feed: Frames | null,
  pace: Pick<PktgenJob, 'rate' | 'limitOnly'>,
  linkMbit: number,
): PktgenJob['frames'] {
  if (feed !== null) return { kind: 'capture', capture: feed.capture }
  if (streams !== null) return { kind: 'streams', streams: planStreams(streams, pace, linkMbit) }
  const { template, sizes, counts, order, seed } = shape
  return { kind: 'plan', plan: planFrames(template, sizes, counts, order, seed) }
}

/** The address that this end has: of the outermost frame that it sends. */
function macOf({ shape, streams }: PktgenOptions): Uint8Array {
  const { template } = streams === null ? shape : streams[0].shape
  return (template.vxlan ?? template).sourceMac
}

/** A real link holds a card to line rate by itself, and better than any clock of ours. A virtual one doesn't. */
function paceOf(
  rate: string | null,
  frameBytes: number,
  linkMbit: number,
  real: boolean,
): Pick<PktgenJob, 'rate' | 'limitOnly'> {
  if (rate === null) return { rate: real ? null : lineRate(frameBytes, linkMbit), limitOnly: true }
  const wanted = packetsPerSecond(rate, frameBytes, linkMbit)
  return { rate: wanted === Infinity ? null : wanted, limitOnly: false }
}
