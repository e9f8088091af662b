/** Packet rates as users write them, and what packets cost on the wire. */
import { IxyError } from '../errors.ts'

/** What every frame takes on the wire besides itself: FCS 4, preamble and SFD 8, inter-frame gap 12 bytes. */
export const WIRE_OVERHEAD_BYTES = 24

/** Bits on the wire of `packets` frames with `bytes` bytes in all, counted without FCS. */
export function wireBits(packets: number, bytes: number): number {
  return (bytes + packets * WIRE_OVERHEAD_BYTES) * 8
}

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 }

/**
 * Packets per second of `1.5Mpps`, `500kpps`, `200pps` (packets), `2Gbit`, `100Mbit`, `64kbit` (bits on the wire, with
 * its overhead) or `10%` (of the link's speed), for frames of `frameBytes` bytes without FCS on average.
 * Throws IXY_ERR_USAGE for anything else, for 0 and for more than 100 %.
 */
export function packetsPerSecond(text: string, frameBytes: number, linkMbit: number): number {
  const match = /^(\d+\.?\d*|\.\d+)(?:([kMG]?)(pps|bit)|(%))$/.exec(text)
  const value = Number(match?.[1])
  const percent = match?.[4] !== undefined
  if (percent && value > 100)
    throw new IxyError('IXY_ERR_USAGE', `'${text}' is more than a link carries`, 'give at most 100%')
  if (match === null || !(value > 0))
    throw new IxyError(
      'IXY_ERR_USAGE',
      `'${text}' is not a packet rate`,
      'write it as in 1.5Mpps, 500kpps, 2Gbit or 10%',
    )
  const frameBits = wireBits(1, frameBytes)
  if (percent) return ((value / 100) * linkMbit * 1e6) / frameBits
  const perSecond = value * FACTORS[match[2]]
  return match[3] === 'pps' ? perSecond : perSecond / frameBits
}

/** Average of frame sizes that are sent in turn. */
export function averageBytes(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length
}
