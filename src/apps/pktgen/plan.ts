/** From options to what each worker is to do. */
import { SharedFeed } from '../../captures/shared-feed.ts'
import type { Plan, PlanContext } from '../../engine/app.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { headerBytes } from '../../packet/headers.ts'
import { averageBytes, lineRate, packetsPerSecond } from '../../packet/rate.ts'
import { headersOf } from '../../packet/template.ts'
import { rate as readRate } from '../../quantity.ts'
import { LatencyBook, missingOf, roundTripsOf } from './latency.ts'
import type { PktgenJob, PktgenOptions, TimedJob } from './options.ts'
import { probeLayoutOf } from './probe-layout.ts'
import { booksOf, type PktgenResult, resultOf } from './result.ts'
import { noWireTimes, type WireLatency, WireTimes } from './wire-times.ts'
import { averageOfStreams, planStreams } from './stream-plan.ts'
import { planFrames } from './templates/frame-plan.ts'
import { TIMED_PAYLOAD } from './timed-packet.ts'
import { WireDesk } from './wire-desk.ts'

const ONLY_UDP =
  'a card stamps UDP only, outside of VXLAN, behind one tag at most, where 44 bytes of payload fit'

/** What a percentage means while no link tells: the speed of the card. */
export const NOMINAL_MBIT = 10_000

/** Reads the capture, if there is one. Throws IXY_ERR_FILE if it can't be used, IXY_ERR_USAGE for a rate that no card can have. */
export async function planPktgen(options: PktgenOptions, context: PlanContext): Promise<Plan<PktgenJob>> {
  const feed = await openFeed(options, context)
  try {
    const jobs = (linkMbit: number): PktgenJob[] => makeJobs(options, context, feed, linkMbit)
    jobs(NOMINAL_MBIT)
    let made: readonly PktgenJob[] = []
    let wire: WireTimes | null = null
    return {
      jobs: ([linkMbit]) => (made = jobs(linkMbit)),
      started(_, [stamps]) {
        const timed = made[0].probe?.timed ?? null
        if (stamps === null || timed === null) return
        wire = new WireTimes(stamps, timed)
        wire.begin()
      },
      finish: () => Promise.resolve(wire?.finish()),
      ...(feed === null ? {} : { failed: feed.failed }),
      result: (tallies): PktgenResult => resultOf(options, made, tallies, wireOf(wire)),
      underWay: () => missingOf(booksOf(options, made).flat()),
      roundTrips: () => roundTripsOf(booksOf(options, made).flat()),
      close() {
        wire?.end()
        feed?.close()
      },
    }
  } catch (error) {
    feed?.close()
    throw error
  }

  function wireOf(wire: WireTimes | null): WireLatency {
    if (wire !== null) return wire.result()
    const able = timedOf(options, context.mtu) !== null
    return noWireTimes(able ? `${context.devices[0]} stamps no packets` : ONLY_UDP)
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
  { physical, queues, mtu }: Pick<PlanContext, 'physical' | 'queues' | 'mtu'>,
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
  const key = randomBelow(2 ** 32)
  const timed = timedOf(options, mtu)
  return Array.from({ length: queues }, (_, index) => ({
    ...common,
    share: { index, of: queues },
    probe: latency ? { key, layouts, books: layouts.map(() => LatencyBook.allocate()), timed } : null,
  }))
}

/** What cards can stamp: UDP, behind one tag at most, with room for a PTP message; for one port only. */
function timedOf({ shape, streams }: PktgenOptions, mtu: number): TimedJob | null {
  const templates = (streams ?? [{ shape }]).map((stream) => stream.shape.template)
  const able = templates.map((template) => {
    const { protocol, vxlan, vlans } = template
    const room = HEADER_BYTES + VLAN_TAG_BYTES * vlans.length + mtu - headerBytes(headersOf(template))
    return protocol === 'udp' && vxlan === null && vlans.length <= 1 && room >= TIMED_PAYLOAD
  })
  const first = able.indexOf(true)
  if (first < 0) return null
  const port = templates[first].destinationPort
  return { desk: WireDesk.allocate(), port, streams: able, source: randomBelow(2 ** 16) }
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

/** To tell this run's packets from others'. node:crypto takes milliseconds to load. */
function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit)
}
