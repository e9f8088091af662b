/** Packet rates, and what packets cost on the wire. */
import { usageError } from '../errors.ts'
import { rate } from '../quantity.ts'

/** What every frame takes on the wire besides itself: FCS 4, preamble and SFD 8, inter-frame gap 12 bytes. */
export const WIRE_OVERHEAD_BYTES = 24

/** Bits on the wire of `packets` frames with `bytes` bytes in all, counted without FCS. */
export function wireBits(packets: number, bytes: number): number {
  return (bytes + packets * WIRE_OVERHEAD_BYTES) * 8
}

/**
 * Packets per second of a rate as users write it (see quantity.ts), for frames of `frameBytes` bytes without FCS on average;
 * bits are bits on the wire, with its overhead. Infinity for `max`. Throws IXY_ERR_USAGE for what is no rate, for 0 and for
 * more than a link of `linkMbit` carries.
 */
export function packetsPerSecond(text: string, frameBytes: number, linkMbit: number): number {
  const { value, of } = rate(text)
  if (of === 'max') return Infinity
  const most = lineRate(frameBytes, linkMbit)
  const wanted = { packets: value, bits: value / wireBits(1, frameBytes), link: value * most }[of]
  if (wanted <= most * (1 + ROUNDING)) return wanted
  throw usageError(
    `'${text}' is more than the link carries: ${(most / 1e6).toPrecision(4)} Mpps of ${Math.round(frameBytes)} bytes at ${linkMbit} Mbit/s`,
    'give at most 100%, or max for as fast as it goes',
  )
}

/** Packets per second that fill a link. */
export function lineRate(frameBytes: number, linkMbit: number): number {
  return (linkMbit * 1e6) / wireBits(1, frameBytes)
}

const ROUNDING = 1e-9

/** Average of frame sizes that are sent in turn. */
export function averageBytes(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length
}

/** How fast frames of different sizes may follow on each other: an allowance, and what each frame takes of it. */
export interface Pace {
  /** Allowance per second; Infinity: as fast as it goes. */
  readonly perSecond: number
  /** Price of a frame, or, if that is more, of each of its bytes on the wire. */
  readonly perFrame: number
  readonly perByte: number
}

const SMALLEST_FRAME = 60

/**
 * A rate as packetsPerSecond() takes it, for frames whose sizes aren't known beforehand. Whatever they are, a link of
 * `linkMbit` is never asked for more than it carries, except with `max`. Throws IXY_ERR_USAGE.
 */
export function paceOf(text: string, linkMbit: number): Pace {
  const perSecond = packetsPerSecond(text, SMALLEST_FRAME, linkMbit)
  if (perSecond === Infinity) return { perSecond, perFrame: 0, perByte: 0 }
  if (rate(text).of === 'packets')
    return { perSecond, perFrame: 1, perByte: (8 * perSecond) / (linkMbit * 1e6) }
  return { perSecond, perFrame: 0, perByte: 8 / wireBits(1, SMALLEST_FRAME) }
}
