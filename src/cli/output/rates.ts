/** From counters to rates. */
import type { Traffic } from '../../engine/types.ts'

/**
 * What a packet takes on the wire beyond its bytes in memory: preamble 7, start delimiter 1, frame check sequence 4,
 * inter-frame gap 12 (IEEE 802.3).
 */
export const WIRE_OVERHEAD = 24

export interface Rate {
  /** Million packets per second. */
  readonly mpps: number
  /** Million bits per second on the wire, overhead included: 10,000 is a full 10 Gbit/s link. */
  readonly mbit: number
}

export const NO_RATE: Rate = { mpps: 0, mbit: 0 }

/** Average over `seconds`; zero for an empty span. */
export function rateOf(traffic: Traffic, seconds: number): Rate {
  if (!(seconds > 0)) return NO_RATE
  return {
    mpps: traffic.packets / seconds / 1e6,
    mbit: ((traffic.bytes + WIRE_OVERHEAD * traffic.packets) * 8) / seconds / 1e6,
  }
}

export function higher(a: Rate, b: Rate): Rate {
  return { mpps: Math.max(a.mpps, b.mpps), mbit: Math.max(a.mbit, b.mbit) }
}
