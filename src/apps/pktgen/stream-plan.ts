/** How fast each stream of a profile is sent. */
import { usageError } from '../../errors.ts'
import { averageBytes, packetsPerSecond, wireBits } from '../../packet/rate.ts'
import type { PktgenJob, Stream, StreamJob } from './options.ts'
import { planFrames } from './templates/frame-plan.ts'
import { sum } from '../../sum.ts'

const ROUNDING = 1e-9

/** Bytes of a frame of all streams together, as they are shared out. */
export function averageOfStreams(streams: readonly Stream[]): number {
  const shares = sum(streams.map(({ share }) => share))
  return sum(streams.map(({ share, shape }) => share * averageBytes(shape.sizes))) / shares
}

/**
 * `pace`: packets per second of all streams together that have no rates of their own; null: as many as the rings take. Throws
 * IXY_ERR_USAGE if rates are more than a link of `linkMbit` carries, together or alone.
 */
export function planStreams(
  streams: readonly Stream[],
  { rate: pace, limitOnly }: Pick<PktgenJob, 'rate' | 'limitOnly'>,
  linkMbit: number,
): StreamJob[] {
  const shares = sum(streams.map(({ share }) => share))
  const jobs = streams.map(({ shape, rate, share, count }) => {
    const { template, sizes, counts, order, seed } = shape
    const own = rate === null ? null : packetsPerSecond(rate, averageBytes(sizes), linkMbit)
    const paced = pace === null ? null : (pace * share) / shares
    const plan = planFrames(template, sizes, counts, order, seed)
    return { plan, rate: own ?? paced, limitOnly: own === null && limitOnly, share, count }
  })
  const bits = sum(
    jobs.map(({ rate }, i) => (rate === null ? 0 : rate * wireBits(1, averageBytes(streams[i].shape.sizes)))),
  )
  if (bits > linkMbit * 1e6 * (1 + ROUNDING))
    throw usageError(
      `the streams together are ${(bits / 1e6).toPrecision(4)} Mbit/s, and the link carries ${linkMbit}`,
      'give lower rates',
    )
  return jobs
}
