/** From options to what each worker is to do. */
import { randomInt } from 'node:crypto'
import { SharedFeed } from '../captures/shared-feed.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../packet/ethernet.ts'
import { parseIpv4 } from '../packet/ipv4.ts'
import { parseMac } from '../packet/mac.ts'
import { averageBytes, lineRate, packetsPerSecond } from '../packet/rate.ts'
import {
  DEFAULT_TEMPLATE,
  type FramePlan,
  type FrameTemplate,
  IMIX_SIZES,
  planFrames,
} from '../packet/template.ts'
import { parseDevice } from '../pci/address.ts'
import { rate as readRate } from '../quantity.ts'
import type { PktgenOptions, RunObserver, RunOptions } from './types.ts'
import type { Job, PktgenJob } from './worker-spec.ts'

/** What a percentage means while no link tells: the speed of the card. */
export const NOMINAL_MBIT = 10_000

/** What a run has to do, before it is known how fast. */
export class Workload {
  /** Rejects when what is to be sent can't be had any more; never resolves. */
  readonly failed: Promise<never>
  private readonly options: RunOptions
  private readonly feed: SharedFeed | null

  private constructor(options: RunOptions, feed: SharedFeed | null) {
    this.options = options
    this.feed = feed
    this.failed = feed?.failed ?? new Promise<never>(() => undefined)
  }

  /**
   * Reads the capture, if there is one; null if `stop` is aborted meanwhile. Throws IXY_ERR_FILE if it can't be used,
   * IXY_ERR_USAGE for a rate that no card can have. Close it afterwards.
   */
  static async prepare(
    options: RunOptions,
    observer: RunObserver,
    stop: AbortSignal,
  ): Promise<Workload | null> {
    const { app, mtu, queues } = options
    let feed: SharedFeed | null = null
    if (app.kind === 'pktgen' && app.pcap !== null) {
      const longest = HEADER_BYTES + VLAN_TAG_BYTES + mtu
      const reading = { strict: false, speed: 1, gap: Infinity, mac: null, longest } as const
      const capture = { name: app.pcap, owner: 'self', ...reading } as const
      feed = await SharedFeed.open(capture, queues, (level, text) => observer[level](text), stop)
      if (feed === null) return null
    }
    try {
      makeJobs(options, feed, NOMINAL_MBIT)
    } catch (error) {
      feed?.close()
      throw error
    }
    return new Workload(options, feed)
  }

  /** One job per queue. `linkMbit`: 0 without a link. */
  jobs(linkMbit: number): Job[] {
    return makeJobs(this.options, this.feed, linkMbit)
  }

  close(): void {
    this.feed?.close()
  }
}

type Frames = Pick<SharedFeed, 'capture' | 'averageFrameBytes'>

/** One per queue. `frames`: those of the capture, if there is one. */
export function makeJobs(options: RunOptions, frames: Frames | null, linkMbit: number): Job[] {
  const { app, queues } = options
  if (app.kind === 'forward') return Array.from({ length: queues }, () => app)
  const job = pktgenJob(options, app, frames, linkMbit === 0 ? NOMINAL_MBIT : linkMbit)
  return Array.from({ length: queues }, (_, index) => ({ ...job, share: { index, of: queues } }))
}

function pktgenJob(
  { devices }: Pick<RunOptions, 'devices'>,
  options: PktgenOptions,
  frames: Frames | null,
  linkMbit: number,
): Omit<PktgenJob, 'share'> {
  const { rate, count, latency } = options
  const sizes = sizesOf(options)
  const frameBytes = frames === null ? averageBytes(sizes) : frames.averageFrameBytes
  const inPackets = rate !== null && readRate(rate).of === 'packets'
  return {
    kind: 'pktgen',
    frames:
      frames === null
        ? { kind: 'plan', plan: planOf(options, sizes) }
        : { kind: 'capture', capture: frames.capture },
    ...pace(rate, frameBytes, linkMbit, parseDevice(devices[0]).kind === 'pci'),
    rateFrameBytes: inPackets ? null : frameBytes,
    count,
    probeKey: latency ? randomInt(2 ** 32) : null,
  }
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

function sizesOf({ imix, size }: PktgenOptions): readonly number[] {
  return imix ? IMIX_SIZES : [size]
}

function planOf(options: PktgenOptions, sizes: readonly number[]): FramePlan {
  const { srcMac, dstMac, srcIp, dstIp, srcPort, dstPort, vlan, flows } = options
  const template: FrameTemplate = {
    sourceMac: srcMac === null ? DEFAULT_TEMPLATE.sourceMac : parseMac(srcMac),
    destinationMac: dstMac === null ? DEFAULT_TEMPLATE.destinationMac : parseMac(dstMac),
    sourceIp: srcIp === null ? DEFAULT_TEMPLATE.sourceIp : parseIpv4(srcIp),
    destinationIp: dstIp === null ? DEFAULT_TEMPLATE.destinationIp : parseIpv4(dstIp),
    sourcePort: srcPort ?? DEFAULT_TEMPLATE.sourcePort,
    destinationPort: dstPort ?? DEFAULT_TEMPLATE.destinationPort,
    vlanId: vlan,
  }
  return planFrames(template, sizes, flows)
}
