import type { Command } from 'commander'
import type { PollMode } from '../../engine/types.ts'
import { usageError } from '../../errors.ts'
import { packetsPerSecond } from '../../packet/rate.ts'
import { count, offering } from '../../option-values.ts'
import { rate } from '../../quantity.ts'
import type { AppCommand } from '../command.ts'
import { pktgen } from './app.ts'
import { LATENCY_FIGURES, type LatencyLimit, addLatencyLimit, unmetLatency } from './expect-latency.ts'
import { findingsOf } from './findings.ts'
import { LEAST_PROBE } from './latency-probe.ts'
import type { PktgenOptions, Stream } from './options.ts'
import { NOMINAL_MBIT } from './plan.ts'
import { readProfile } from './profile.ts'
import type { PktgenResult } from './result.ts'
import { type AddressRange, readAddresses } from './templates/range.ts'
import { shapeOf } from './templates/shape.ts'
import { STREAM_OPTIONS, type StreamFlags } from './templates/stream-options.ts'

const EXAMPLES = `
The default packet is IPv4/UDP, 10.0.0.1:42 to 10.0.0.2:1337, payload "ixy", and a 32-bit little-endian
sequence number in the last four bytes. What a range is, and how several go together: docs/pktgen.md.

Examples:
  sudo ixy-ts pktgen 0000:03:00.0                             at line rate
  sudo ixy-ts pktgen 0000:03:00.0 --rate 10% --imix -d 60     a mix of sizes at a tenth of line rate
  ixy-ts pktgen virtual:record=out.pcap --count 10000         into a capture, no hardware needed
  ixy-ts pktgen virtual:loop --rate 100kpps --latency -d 10   round-trip times
  ixy-ts pktgen virtual:loop --rate 10kpps --latency -d 5 --expect-latency p99=5ms --expect-latency max=1s
  ixy-ts pktgen virtual:sink --rate 100kpps --src-ip 10.0.0.1-10.0.0.254 --dst-port 1024-2047 --order random -d 5
  ixy-ts pktgen virtual:sink --src-ip fd00::1 --dst-ip fd00::2 --proto tcp --tcp-flags syn -d 5
  ixy-ts pktgen virtual:record=out.pcap --vlan 100,200 -n 100          802.1Q in 802.1ad
  ixy-ts pktgen virtual:record=out.pcap --vxlan 42 --outer-dst-ip 192.0.2.2 --flows 64 -n 100
  sudo ixy-ts pktgen 0000:03:00.0 --profile streams.yaml --latency -d 60
  sudo ixy-ts pktgen virtual:tap=tap0 --rate 10kpps --src-ip 10.0.0.1-10.0.0.9 --answer src --dst-mac 52:54:00:00:00:01
  ixy-ts pktgen virtual:sink --rate max -d 5                  flat out: no link holds a virtual NIC back`

/** Its own, and those of every run that it has something to say about. */
interface PktgenFlags extends StreamFlags {
  readonly mode: PollMode
  readonly mtu: number
  readonly rate?: string
  readonly count?: number
  readonly pcap?: string
  readonly profile?: string
  readonly answer?: readonly AddressRange[] | 'src'
  readonly latency: boolean
  readonly expectLatency?: readonly LatencyLimit[]
}

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
  findings: (result) => findingsOf(result as PktgenResult | null),
  unmet: (result, { expectLatency = [] }) =>
    unmetLatency((result as PktgenResult | null)?.probes?.latency ?? null, expectLatency),
}

function addOptions(command: Command): void {
  command
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
    .addOption(
      command
        .createOption(
          '--latency',
          'measure the round trip of packets that come back, and of samples the time on the wire',
        )
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
    // None of those that say what a generated packet looks like goes with it.
    .addOption(
      command
        .createOption('--pcap <file>', 'send the packets of this capture over and over')
        .conflicts(Object.keys(STREAM_OPTIONS)),
    )
    .addOption(
      command
        .createOption('--profile <file>', 'send several streams, as a file of YAML or JSON describes them')
        .conflicts([...Object.keys(STREAM_OPTIONS), 'pcap', 'count']),
    )
    .option(
      '--answer <ip>',
      'answer ARP, neighbour solicitation and ping for this address, or range; src: for all source addresses',
      readAnswer,
    )
  command.optionsGroup('What packets look like:')
  for (const { name, value, description, choices = [], read } of Object.values(STREAM_OPTIONS)) {
    const option = command.createOption(`--${name}${value === null ? '' : ` ${value}`}`, description)
    if (choices.length > 0) offering(option, choices)
    command.addOption(value === null ? option : option.argParser((text) => read(`--${name}`, text)))
  }
  command.optionsGroup('')
}

function pktgenOptions(flags: PktgenFlags): PktgenOptions {
  if (flags.expectLatency !== undefined && !flags.latency)
    throw usageError('--expect-latency needs round trips to be measured', 'give --latency as well')
  if (flags.mode !== 'poll') {
    throw usageError(`--mode ${flags.mode}: pktgen follows a clock and never sleeps`, 'leave --mode out')
  }
  const surroundings = { mtu: flags.mtu, payload: flags.latency ? LEAST_PROBE : 0 }
  const shape = shapeOf(flags, { ...surroundings, called: (name) => `--${name}` })
  const streams = flags.profile === undefined ? null : readProfile(flags.profile, surroundings)
  if (streams?.some((stream) => stream.rate !== null) === true && flags.rate !== undefined)
    throw usageError(`--rate: the streams of ${flags.profile} have rates of their own`, 'leave it out')
  return {
    shape,
    streams,
    answer: flags.answer === 'src' ? (streams ?? [{ shape }]).map(sourcesOf) : (flags.answer ?? []),
    rate: flags.rate ?? null,
    count: flags.count ?? null,
    latency: flags.latency,
    pcap: flags.pcap ?? null,
  }
}

/** The addresses that packets are sent from: of VXLAN those outside. */
function sourcesOf({ shape: { template, counts } }: Pick<Stream, 'shape'>): AddressRange {
  if (template.vxlan !== null) return { first: template.vxlan.sourceIp, count: 1 }
  return { first: template.sourceIp, count: counts.sourceIp ?? 1 }
}

function readAnswer(text: string): readonly AddressRange[] | 'src' {
  return text === 'src' ? text : text.split(',').map((part) => readAddresses('--answer', part))
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
