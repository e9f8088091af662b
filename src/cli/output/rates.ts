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

/** In the unit that leaves something before the decimal point; nothing at all is 0 of the largest. */
function scaled(perSecond: number, unit: string): string {
  if (perSecond >= 1e6 || perSecond < 0.005) return `${(perSecond / 1e6).toFixed(2)} M${unit}`
  return perSecond >= 1e3 ? `${(perSecond / 1e3).toFixed(2)} k${unit}` : `${perSecond.toFixed(2)} ${unit}`
}

/** `9.85 Mpps`, `12.35 kpps` */
export function packetRate({ mpps }: Pick<Rate, 'mpps'>): string {
  return scaled(mpps * 1e6, 'pps')
}

/** `6622.48 Mbit/s`, `672.00 kbit/s` */
export function bitRate({ mbit }: Pick<Rate, 'mbit'>): string {
  return scaled(mbit * 1e6, 'bit/s')
}

/** From here on, million packets per second, an interval is shown in the ixy family's own units. */
const FAMILY_UNITS = 0.01

/** `9998.11 Mbit/s 14.88 Mpps`, as scripts written for ixy read it; slower ones in units that show them. */
export function intervalRate(rate: Rate): string {
  const { mbit, mpps } = rate
  if (mpps >= FAMILY_UNITS) return `${mbit.toFixed(2)} Mbit/s ${mpps.toFixed(2)} Mpps`
  return `${bitRate(rate)} ${packetRate(rate)}`
}

/** More than a link of `linkMbit` carries, by more than clocks differ; never where nobody knows the link (0). */
export function exceedsLink({ mbit }: Pick<Rate, 'mbit'>, linkMbit: number): boolean {
  return linkMbit > 0 && mbit > linkMbit * 1.001
}

export function higher(a: Rate, b: Rate): Rate {
  return { mpps: Math.max(a.mpps, b.mpps), mbit: Math.max(a.mbit, b.mbit) }
}
