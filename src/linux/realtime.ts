/** The time of day in nanoseconds. Not for data-plane loops: it makes an object. */
import { clockGettime } from './monotonic.ts'

const CLOCK_REALTIME = 0

/** Since 1970. */
export interface WallTime {
  readonly seconds: number
  readonly nanoseconds: number
}

export function realtime(): WallTime {
  const time = new BigInt64Array(2)
  clockGettime(CLOCK_REALTIME, time)
  return { seconds: Number(time[0]), nanoseconds: Number(time[1]) }
}
