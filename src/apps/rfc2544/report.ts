/** Trials and results as JSON objects, see docs/rfc2544.md. */
import { wireBits } from '../../packet/rate.ts'
import { digits } from '../../wording.ts'
import { FCS_BYTES, lineRateOf } from './load.ts'
import type {
  BurstResult,
  LatencyResult,
  LossPoint,
  RateResult,
  ResetResult,
  Rfc2544Result,
  SizeResults,
  TrialReport,
} from './results.ts'

/** A rate in all the units that anybody may want; share is of line rate. */
interface Rate {
  readonly packetsPerSecond: number
  readonly bitsPerSecond: number
  readonly share: number
}

function rateOf(load: number, frameBytes: number, linkMbit: number): Rate {
  return {
    packetsPerSecond: digits(load),
    bitsPerSecond: digits(load * wireBits(1, frameBytes - FCS_BYTES)),
    share: digits(load / lineRateOf(frameBytes, linkMbit)),
  }
}

export function trialObject(report: TrialReport, linkMbit: number): object {
  const { number, test, frameBytes, load, offered, seconds, silence, latency, ...counts } = report
  return {
    event: 'trial',
    time: new Date().toISOString(),
    number,
    test,
    frameBytes,
    intended: rateOf(load, frameBytes, linkMbit),
    offered: rateOf(offered, frameBytes, linkMbit),
    seconds: digits(seconds),
    ...counts,
    lossRatio: counts.sent === 0 ? null : digits(counts.lost / counts.sent),
    longestSilenceSeconds: digits(silence),
    latencyMicroseconds: latency,
  }
}

export function resultObject(
  test: string,
  frameBytes: number,
  result: Partial<SizeResults>,
  linkMbit: number,
): object {
  return {
    event: 'result',
    time: new Date().toISOString(),
    test,
    frameBytes,
    ...objectsOf(result, frameBytes, linkMbit),
  }
}

/** For the `end` object. */
export function endObject({ sizes, linkMbit, ...all }: Rfc2544Result): object {
  return {
    rfc2544: {
      ...all,
      linkMbit,
      sizes: sizes.map((size) => ({
        frameBytes: size.frameBytes,
        lineRate: rateOf(size.lineRate, size.frameBytes, linkMbit),
        maxLoad: rateOf(size.maxLoad, size.frameBytes, linkMbit),
        ...objectsOf(size, size.frameBytes, linkMbit),
      })),
    },
  }
}

/** What is there of a size's results; null: it was asked for and isn't known. */
function objectsOf(results: Partial<SizeResults>, frameBytes: number, linkMbit: number): object {
  const rate = (load: number | null): Rate | null =>
    load === null ? null : rateOf(load, frameBytes, linkMbit)
  const found = ({ load, forwarded, upper, reached, testerLimited }: RateResult): object => ({
    ...(rate(load) ?? { packetsPerSecond: null, bitsPerSecond: null, share: null }),
    forwarded: rate(forwarded),
    upper: rate(upper),
    reached,
    testerLimited,
  })
  const each = <T extends { readonly load: number }>({ load, ...rest }: T): object => ({
    load: rate(load),
    ...rest,
  })
  const as = <T, U>(value: T | null | undefined, make: (value: T) => U): U | null | undefined => {
    if (value === undefined) return undefined
    return value === null ? null : make(value)
  }
  return {
    throughput: as(results.throughput, found),
    ndr: as(results.ndr, found),
    pdr: as(results.pdr, found),
    testerLimit: as(results.testerLimit, rate),
    latency: as(results.latency, each<LatencyResult>),
    loss: as(results.loss, (points) =>
      points.map(({ load, offered, ...rest }: LossPoint) => ({
        intended: rate(load),
        offered: rate(offered),
        ...rest,
      })),
    ),
    backToBack: as(results.backToBack, each<BurstResult>),
    reset: as(results.reset, each<ResetResult>),
  }
}
