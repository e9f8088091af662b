/** From options to what each worker is to do. */
import { IxyError } from '../errors.ts'
import { HEADER_BYTES, VLAN_TAG_BYTES } from '../packet/ethernet.ts'
import { parseIpv4 } from '../packet/ipv4.ts'
import { parseMac } from '../packet/mac.ts'
import { PcapReader } from '../packet/pcap-reader.ts'
import { averageBytes, lineRate, packetsPerSecond } from '../packet/rate.ts'
import { DEFAULT_TEMPLATE, type FrameTemplate, IMIX_SIZES, buildFrames } from '../packet/template.ts'
import { parseDevice } from '../pci/address.ts'
import type { PktgenOptions, RunOptions } from './types.ts'
import type { Job, PktgenJob } from './worker-spec.ts'

/** What a percentage means while no link tells: the speed of the card. */
export const NOMINAL_MBIT = 10_000
/** Frames of a capture that pktgen keeps in memory. */
const MAX_PCAP_FRAMES = 65_536
/** Shortest frame the driver sends: Ethernet header only. The card pads it to 60 bytes. */
const MIN_FRAME = HEADER_BYTES

/** One job per queue. Rate and count are shared out, so that together the workers do what was asked. */
export function makeJobs(options: RunOptions, linkMbit: number): Job[] {
  const { app, queues } = options
  if (app.kind === 'forward') return Array.from({ length: queues }, () => app)
  const job = makePktgenJob(options, app, linkMbit === 0 ? NOMINAL_MBIT : linkMbit)
  return Array.from({ length: queues }, (_, queue) => ({
    ...job,
    rate: job.rate === null ? null : job.rate / queues,
    count: job.count === null ? null : Math.floor((job.count + queues - 1 - queue) / queues),
  }))
}

function makePktgenJob(
  { devices, mtu }: Pick<RunOptions, 'devices' | 'mtu'>,
  options: PktgenOptions,
  linkMbit: number,
): PktgenJob {
  const { pcap, rate, count } = options
  const frames = pcap === null ? generate(options) : readFrames(pcap, HEADER_BYTES + VLAN_TAG_BYTES + mtu)
  const frameBytes = averageBytes(frames.map((frame) => frame.length))
  return {
    kind: 'pktgen',
    frames,
    sequence: pcap === null,
    ...pace(rate, frameBytes, linkMbit, parseDevice(devices[0]).kind === 'pci'),
    count,
    latency: options.latency,
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

function generate(options: PktgenOptions): readonly Uint8Array[] {
  const { srcMac, dstMac, srcIp, dstIp, srcPort, dstPort, vlan, imix, size, flows } = options
  const template: FrameTemplate = {
    sourceMac: srcMac === null ? DEFAULT_TEMPLATE.sourceMac : parseMac(srcMac),
    destinationMac: dstMac === null ? DEFAULT_TEMPLATE.destinationMac : parseMac(dstMac),
    sourceIp: srcIp === null ? DEFAULT_TEMPLATE.sourceIp : parseIpv4(srcIp),
    destinationIp: dstIp === null ? DEFAULT_TEMPLATE.destinationIp : parseIpv4(dstIp),
    sourcePort: srcPort ?? DEFAULT_TEMPLATE.sourcePort,
    destinationPort: dstPort ?? DEFAULT_TEMPLATE.destinationPort,
    vlanId: vlan,
  }
  return buildFrames(template, imix ? IMIX_SIZES : [size], flows)
}

function readFrames(path: string, longest: number): readonly Uint8Array[] {
  const reader = new PcapReader(path)
  try {
    const frames: Uint8Array[] = []
    while (reader.next()) {
      const { memory, offset, length } = reader
      if (length < MIN_FRAME || length > longest) {
        throw new IxyError(
          'IXY_ERR_FILE',
          `${path}: packet ${reader.packets} has ${length} bytes, this run sends ${MIN_FRAME} to ${longest}`,
          'give a larger --mtu, or cut the capture to such packets',
        )
      }
      if (frames.length === MAX_PCAP_FRAMES) {
        throw new IxyError(
          'IXY_ERR_FILE',
          `${path} has more than ${MAX_PCAP_FRAMES} packets`,
          `cut it, as in editcap -r ${path} short.pcap 1-${MAX_PCAP_FRAMES}`,
        )
      }
      frames.push(memory.u8.slice(offset, offset + length))
    }
    if (frames.length === 0)
      throw new IxyError('IXY_ERR_FILE', `${path} has no packets`, 'name a capture that has')
    return frames
  } finally {
    reader.close()
  }
}
