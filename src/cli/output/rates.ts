/** From counters to rates. */
import type { Traffic } from '../../engine/types.ts'
import { wireBits } from '../../packet/rate.ts'

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
    mbit: wireBits(traffic.packets, traffic.bytes) / seconds / 1e6,
  }
}

export function higher(a: Rate, b: Rate): Rate {
  return { mpps: Math.max(a.mpps, b.mpps), mbit: Math.max(a.mbit, b.mbit) }
}
