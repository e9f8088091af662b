import type { Command } from 'commander'
import type { PollMode } from '../../engine/types.ts'
import { usageError } from '../../errors.ts'
import { seconds, share, wholeNumber } from '../../option-values.ts'
import { HEADER_BYTES } from '../../packet/ethernet.ts'
import { parseMac } from '../../packet/mac.ts'
import { rate } from '../../quantity.ts'
import type { AppCommand } from '../command.ts'
import { rfc2544 } from './app.ts'
import { FCS_BYTES } from './load.ts'
import { findingsOf, unmetThroughput } from './findings.ts'
import { type Durations, type Rfc2544Options, type TestName, TESTS } from './options.ts'
import type { Rfc2544Result } from './results.ts'

const EXAMPLES = `
Frame sizes are with FCS, as RFC 2544 counts: 64 bytes are --size 60 of pktgen. What is sent out of the first device is to
come in at the second, or, where there is only one, at the first again. docs/rfc2544.md explains all that is measured.

Examples:
  sudo ixy-ts rfc2544 0000:03:00.0 0000:03:00.1                      all sizes, hours
  sudo ixy-ts rfc2544 0000:03:00.0 0000:03:00.1 --quick              minutes
  sudo ixy-ts rfc2544 tap:a tap:b --quick --tests throughput --max-load 200kpps
  ixy-ts rfc2544 virtual:loop,rate=500kpps --quick --max-load 1Mpps                no hardware needed
  ixy-ts rfc2544 virtual:loop,rate=500kpps --quick --tests throughput,loss --max-load 1Mpps --json > results.ndjson`

/** As RFC 2544 §9.1 has them for Ethernet; fewer, where it is to be quick. */
const SIZES = [64, 128, 256, 512, 1024, 1280, 1518]
const QUICK_SIZES = [64, 512, 1518]

/** As the RFCs want it. */
const THOROUGH: Durations = {
  ...{ trial: 60, short: 1, sum: 21, latency: 120, latencyTrials: 20, bursts: 50, drain: 2, settle: 5 },
}
const QUICK: Durations = {
  ...{ trial: 5, short: 1, sum: 3, latency: 5, latencyTrials: 1, bursts: 3, drain: 1, settle: 0 },
}

interface Rfc2544Flags {
  readonly tests?: readonly TestName[]
  readonly frameSizes?: readonly number[]
  readonly quick: boolean
  readonly trial?: number
  readonly maxLoad?: string
  readonly precision: number
  readonly pdrLoss: number
  readonly bidirectional: boolean
  readonly srcMac?: string
  readonly dstMac?: string
  readonly expectThroughput?: string
  readonly json: boolean
  readonly quiet: boolean
  readonly mtu: number
  readonly mode: PollMode
  readonly queues: number
  readonly expectLoss?: number
  readonly expectMpps?: number
}

export const rfc2544Command: AppCommand<Rfc2544Options, Rfc2544Flags> = {
  app: rfc2544,
  description: 'Throughput, latency, frame loss and bursts of a device under test, by RFC 2544 and RFC 9971',
  devices: [
    ['device-a', 'PCI address, vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>'],
    ['device-b', 'where the frames of the first come out (default: at the first)', 'optional'],
  ],
  examples: EXAMPLES,
  addOptions,
  options: rfc2544Options,
  prints: () => true,
  headline: ({ packets }) => `sent ${packets}`,
  findings: (result) => findingsOf(result as Rfc2544Result | null),
  unmet: (result, { expectThroughput }) => unmetThroughput(result as Rfc2544Result | null, expectThroughput),
}

function addOptions(command: Command): void {
  command
    .option('--quick', 'three frame sizes and trials of seconds: minutes instead of hours', false)
    .option('--tests <list>', `which: ${TESTS.join(', ')} (default: all but reset)`, list(testName))
    .option(
      '--frame-sizes <list>',
      `bytes with FCS (default: ${SIZES.join(',')}; with --quick ${QUICK_SIZES.join(',')})`,
      list(wholeNumber('--frame-sizes', 64, 9022)),
    )
    .option(
      '--trial <time>',
      'length of a trial of throughput and loss: 60s (default: 60 s, with --quick 5 s)',
      seconds('--trial', 0.1, 3600),
    )
    .option(
      '--max-load <rate>',
      'most to offer: 1Mpps, 2Gbit, 50% (default: line rate)',
      checkedRate('--max-load'),
    )
    .option(
      '--precision <share>',
      'how far apart the two bounds of a rate may be: 0.0025 or 0.25%',
      share('--precision'),
      0.0025,
    )
    .option('--pdr-loss <share>', 'the loss that PDR allows: 0.005 or 0.5%', share('--pdr-loss'), 0.005)
    .option('--bidirectional', 'both ways at once, each at the load that is told', false)
    .option('--src-mac <mac>', 'MAC address of the first device', checkedMac)
    .option('--dst-mac <mac>', 'MAC address of the second device', checkedMac)
    .option(
      '--expect-throughput <rate>',
      'exit 5 if that of a frame size is lower, or not known: 1Mpps, 50%',
      checkedRate('--expect-throughput'),
    )
}

function rfc2544Options(flags: Rfc2544Flags): Rfc2544Options {
  const { quick, trial, mtu, precision } = flags
  if (flags.mode !== 'poll')
    throw usageError(`--mode ${flags.mode}: rfc2544 follows a clock and never sleeps`, 'leave --mode out')
  if (flags.queues !== 1)
    throw usageError(
      `--queues ${flags.queues}: rfc2544 has one flow, which stays on one queue`,
      'leave --queues out',
    )
  if (flags.expectLoss !== undefined || flags.expectMpps !== undefined)
    throw usageError('trials are meant to lose packets', 'give --expect-throughput instead')
  const frameSizes = flags.frameSizes ?? (quick ? QUICK_SIZES : SIZES)
  const longest = HEADER_BYTES + mtu + FCS_BYTES
  const tooLong = frameSizes.find((frameBytes) => frameBytes > longest)
  if (tooLong !== undefined)
    throw usageError(`--frame-sizes ${tooLong} is not valid`, `give at most ${longest} with --mtu ${mtu}`)
  if (precision < 1e-4 || precision > 0.5)
    throw usageError(`--precision ${precision} is not valid`, 'give a share from 0.01% to 50%')
  if (flags.pdrLoss === 1) throw usageError('--pdr-loss 1 is not valid', 'give a share below 1')
  const tests = flags.tests ?? TESTS.filter((test) => test !== 'reset')
  if (flags.expectThroughput !== undefined && !tests.includes('throughput'))
    throw usageError('--expect-throughput needs --tests throughput', 'add it')
  const durations = quick ? QUICK : THOROUGH
  return {
    tests,
    frameSizes,
    durations:
      trial === undefined ? durations : { ...durations, trial, short: Math.min(trial, durations.short) },
    maxLoad: flags.maxLoad ?? null,
    precision,
    pdrLoss: flags.pdrLoss,
    bidirectional: flags.bidirectional,
    srcMac: flags.srcMac ?? null,
    dstMac: flags.dstMac ?? null,
    json: flags.json && !flags.quiet,
  }
}

function list<T>(read: (text: string) => T): (text: string) => readonly T[] {
  return (text) => [...new Set(text.split(',').map(read))]
}

function testName(text: string): TestName {
  const found = TESTS.find((name) => name === text)
  if (found === undefined)
    throw usageError(`--tests ${text} is not valid`, `give some of ${TESTS.join(', ')}`)
  return found
}

function checkedRate(option: string): (text: string) => string {
  return (text) => {
    if (rate(text).of === 'max')
      throw usageError(`${option} max is not valid`, 'give a rate: 1Mpps, 2Gbit, 50%')
    return text
  }
}

function checkedMac(text: string): string {
  parseMac(text)
  return text
}
