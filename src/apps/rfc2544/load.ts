/** Loads: frames per second, as users write them and as they read them. */
import { lineRate, wireBits } from '../../packet/rate.ts'
import { rate as readRate } from '../../quantity.ts'

/** What RFC 2544 counts of a frame and the rest of this program doesn't. */
export const FCS_BYTES = 4

/** Frames per second that fill a link. `frameBytes`: with FCS. */
export function lineRateOf(frameBytes: number, linkMbit: number): number {
  return lineRate(frameBytes - FCS_BYTES, linkMbit)
}

/** `1Mpps`, `2Gbit` or `50%` of frames of a size, which may be more than the link carries. Throws IXY_ERR_USAGE. */
export function loadOf(text: string, frameBytes: number, linkMbit: number): number {
  const { value, of } = readRate(text)
  const bits = wireBits(1, frameBytes - FCS_BYTES)
  return {
    packets: value,
    bits: value / bits,
    link: value * lineRateOf(frameBytes, linkMbit),
    max: Infinity,
  }[of]
}

export function loadText(load: number): string {
  if (load >= 1e6) return `${(load / 1e6).toFixed(4)} Mpps`
  return load >= 1e3 ? `${(load / 1e3).toFixed(3)} kpps` : `${load.toFixed(2)} pps`
}
