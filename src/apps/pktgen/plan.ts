/** From options to what each worker is to do. */
import { randomInt } from 'node:crypto'
import { SharedFeed } from '../../captures/shared-feed.ts'
import type { Plan, PlanContext } from '../../engine/app.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { averageBytes, lineRate, packetsPerSecond } from '../../packet/rate.ts'
import { rate as readRate } from '../../quantity.ts'
import { LatencyBook, latencyOf, roundTripsOf } from './latency.ts'
import type { PktgenJob, PktgenOptions } from './options.ts'
import { planFrames } from './templates/frame-plan.ts'

/** What a percentage means while no link tells: the speed of the card. */
export const NOMINAL_MBIT = 10_000

/** Reads the capture, if there is one. Throws IXY_ERR_FILE if it can't be used, IXY_ERR_USAGE for a rate that no card can have. */
export async function planPktgen(options: PktgenOptions, context: PlanContext): Promise<Plan<PktgenJob>> {
  const feed = await openFeed(options, context)
  try {
    const jobs = (linkMbit: number): PktgenJob[] => makeJobs(options, context, feed, linkMbit)
    jobs(NOMINAL_MBIT)
    let books: readonly LatencyBook[] = []
    return {
      jobs([linkMbit]) {
        const made = jobs(linkMbit)
        books = made.flatMap(({ probe }) => (probe === null ? [] : [new LatencyBook(probe.book)]))
        return made
      },
      ...(feed === null ? {} : { failed: feed.failed }),
      result: () => latencyOf(books),
      roundTrips: () => roundTripsOf(books),
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

/** One per queue. `frames`: those of the capture, if there is one. `linkMbit`: 0 without a link. */
export function makeJobs(
  options: PktgenOptions,
  { physical, queues }: Pick<PlanContext, 'physical' | 'queues'>,
  frames: Frames | null,
  linkMbit: number,
): PktgenJob[] {
  const { rate, count, shape } = options
  const { template, sizes, counts, order, seed } = shape
  const frameBytes = frames === null ? averageBytes(sizes) : frames.averageFrameBytes
  const inPackets = rate !== null && readRate(rate).of === 'packets'
  const [real] = physical
  const common = {
    frames:
      frames === null
        ? ({ kind: 'plan', plan: planFrames(template, sizes, counts, order, seed) } as const)
        : ({ kind: 'capture', capture: frames.capture } as const),
    ...pace(rate, frameBytes, linkMbit === 0 ? NOMINAL_MBIT : linkMbit, real),
    rateFrameBytes: inPackets ? null : frameBytes,
    count,
  }
  const key = randomInt(2 ** 32)
  return Array.from({ length: queues }, (_, index) => ({
    ...common,
    share: { index, of: queues },
    probe: options.latency ? { key, book: LatencyBook.allocate() } : null,
  }))
}

/** A real link holds a card to line rate by itself, and better than any clock of ours. A virtual one doesn't. */
function pace(
  rate: string | null,
  frameBytes: number,
  linkMbit: number,
  real: boolean,
): Pick<PktgenJob, 'rate' | 'limitOnly'> {
  if (rate === null) return { rate: real ? null : lineRate(frameBytes, linkMbit), limitOnly: true }
  const wanted = packetsPerSecond(rate, frameBytes, linkMbit)
  return { rate: wanted === Infinity ? null : wanted, limitOnly: false }
}
