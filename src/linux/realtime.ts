/** The time of day in nanoseconds. Not for data-plane loops: it makes an object. */
import { declare } from './libc.ts'

const CLOCK_REALTIME = 0

const clockGettime = declare<(clock: number, time: BigInt64Array) => number>(
  'int clock_gettime(int clock, void *time)',
)

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
