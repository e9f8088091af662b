import type { Command } from 'commander'
import type { PollMode } from '../../engine/types.ts'
import { usageError } from '../../errors.ts'
import {
  HEADER_BYTES as ETHERNET_HEADER_BYTES,
  MAX_FRAME_BYTES,
  VLAN_TAG_BYTES,
} from '../../packet/ethernet.ts'
import { parseIpv4 } from '../../packet/ipv4.ts'
import { parseMac } from '../../packet/mac.ts'
import { packetsPerSecond } from '../../packet/rate.ts'
import { MAX_FLOWS } from '../../packet/template.ts'
import { byteSize, count, offering, wholeNumber } from '../../option-values.ts'
import { rate } from '../../quantity.ts'
import type { AppCommand } from '../command.ts'
import { pktgen } from './app.ts'
import { LATENCY_FIGURES, type LatencyLimit, addLatencyLimit, unmetLatency } from './expect-latency.ts'
import { findingsOf } from './findings.ts'
import type { Latency } from './latency.ts'
import type { PktgenOptions } from './options.ts'
import { NOMINAL_MBIT } from './plan.ts'

const EXAMPLES = `
The default packet is IPv4/UDP, 10.0.0.1:42 to 10.0.0.2:1337, payload "ixy", and a 32-bit little-endian
sequence number in the last four bytes.

Examples:
  sudo ixy-ts pktgen 0000:03:00.0                             at line rate
  sudo ixy-ts pktgen 0000:03:00.0 --rate 10% --imix -d 60     a mix of sizes at a tenth of line rate
  ixy-ts pktgen virtual:record=out.pcap --count 10000         into a capture, no hardware needed
  ixy-ts pktgen virtual:loop --rate 100kpps --latency -d 10   round-trip times
  ixy-ts pktgen virtual:loop --rate 10kpps --latency -d 5 --expect-latency p99=5ms --expect-latency max=1s
  ixy-ts pktgen virtual:sink --rate 100kpps --flows 64 -d 5
  ixy-ts pktgen virtual:sink --rate max -d 5                  flat out: no link holds a virtual NIC back`

const MAX_SIZE = MAX_FRAME_BYTES + VLAN_TAG_BYTES

/** Its own, and those of every run that it has something to say about. */
interface PktgenFlags {
  readonly mode: PollMode
  readonly mtu: number
  readonly size: number
  readonly imix?: true
  readonly rate?: string
  readonly count?: number
  readonly flows: number
  readonly srcMac?: string
  readonly dstMac?: string
  readonly srcIp?: string
  readonly dstIp?: string
  readonly srcPort?: number
  readonly dstPort?: number
  readonly vlan?: number
  readonly pcap?: string
  readonly latency: boolean
  readonly expectLatency?: readonly LatencyLimit[]
}

/** Options that say what a generated packet looks like; none of them goes with --pcap. */
const SHAPE = ['size', 'imix', 'flows', 'srcMac', 'dstMac', 'srcIp', 'dstIp', 'srcPort', 'dstPort', 'vlan']

export const pktgenCommand: AppCommand<PktgenOptions, PktgenFlags> = {
  app: pktgen,
  alias: 'generate',
  description: 'Generate packets',
  devices: [
    ['device', 'PCI address, vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>'],
  ],
  examples: EXAMPLES,
  addOptions,
  options: pktgenOptions,
  reads: ({ pcap }) => (pcap === null ? null : { option: '--pcap', file: pcap }),
  flatOut: (options) => options.rate !== null && rate(options.rate).of === 'max',
  headline: ({ packets }) => `sent ${packets}`,
  findings: (result) => findingsOf(result as Latency | null),
  unmet: (result, { expectLatency = [] }) => unmetLatency(result as Latency | null, expectLatency),
}

function addOptions(command: Command): void {
  command
    .option(
      '--size <bytes>',
      'packet size without FCS, up to --mtu + 14',
      byteSize('--size', 60, MAX_SIZE),
      60,
    )
    .addOption(command.createOption('--imix', 'sizes 60, 566 and 1514 in the ratio 7:4:1').conflicts('size'))
    .option(
      '--rate <rate>',
      'rate to keep: 1.5Mpps, 500kpps, 2Gbit, 10% of the link, max (default: line rate)',
      checked(checkRate),
    )
    .option(
      '-n, --count <packets>',
      'end after that many: 1000, 10k, 2M',
      count('--count', 1, Number.MAX_SAFE_INTEGER),
    )
    .option('--flows <n>', 'UDP source ports to take turns', count('--flows', 1, MAX_FLOWS), 1)
    .option('--src-mac <mac>', 'source MAC address', checked(parseMac))
    .option('--dst-mac <mac>', 'destination MAC address', checked(parseMac))
    .option('--src-ip <ip>', 'source IPv4 address', checked(parseIpv4))
    .option('--dst-ip <ip>', 'destination IPv4 address', checked(parseIpv4))
    .option('--src-port <port>', 'UDP source port, of the first flow', wholeNumber('--src-port', 0, 65_535))
    .option('--dst-port <port>', 'UDP destination port', wholeNumber('--dst-port', 0, 65_535))
    .option('--vlan <id>', 'VLAN tag', wholeNumber('--vlan', 1, 4094))
    .addOption(
      command
        .createOption('--latency', 'measure the round trip of packets that come back')
        .conflicts('pcap')
        .default(false),
    )
    .addOption(
      offering(
        command.createOption(
          '--expect-latency <which>=<time>',
          'exit 5 if p50, p90, p99, p99.9, p99.99 or max is above it, or nothing was measured: p99=50us (repeatable)',
        ),
        LATENCY_FIGURES.map((figure) => `${figure}=`),
      ).argParser(addLatencyLimit),
    )
    .addOption(
      command
        .createOption('--pcap <file>', 'send the packets of this capture over and over')
        .conflicts(SHAPE),
    )
}

function pktgenOptions(flags: PktgenFlags): PktgenOptions {
  if (flags.expectLatency !== undefined && !flags.latency)
    throw usageError('--expect-latency needs round trips to be measured', 'give --latency as well')
  if (flags.mode !== 'poll') {
    throw usageError(`--mode ${flags.mode}: pktgen follows a clock and never sleeps`, 'leave --mode out')
  }
  const longest = ETHERNET_HEADER_BYTES + flags.mtu + (flags.vlan === undefined ? 0 : VLAN_TAG_BYTES)
  if (flags.size > longest) {
    throw usageError(
      `--size ${flags.size} is not valid`,
      `give at most ${longest} with --mtu ${flags.mtu}${flags.vlan === undefined ? '' : ' and --vlan'}`,
    )
  }
  const firstPort = flags.srcPort ?? 42
  if (firstPort + flags.flows > 65_536) {
    throw usageError(
      `--flows ${flags.flows} needs ports up to ${firstPort + flags.flows - 1}`,
      'give fewer flows or a lower --src-port',
    )
  }
  return {
    size: flags.size,
    imix: flags.imix ?? false,
    rate: flags.rate ?? null,
    count: flags.count ?? null,
    flows: flags.flows,
    srcMac: flags.srcMac ?? null,
    dstMac: flags.dstMac ?? null,
    srcIp: flags.srcIp ?? null,
    dstIp: flags.dstIp ?? null,
    srcPort: flags.srcPort ?? null,
    dstPort: flags.dstPort ?? null,
    vlan: flags.vlan ?? null,
    latency: flags.latency,
    pcap: flags.pcap ?? null,
  }
}

function checkRate(text: string): void {
  packetsPerSecond(text, 60, NOMINAL_MBIT)
}

/** A reader that keeps the text if `check` doesn't throw. */
function checked(check: (text: string) => unknown): (text: string) => string {
  return (text) => {
    check(text)
    return text
  }
}
