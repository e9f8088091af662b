/** What rate, memory and start-up do against more of everything: one sweep for each thing there can be more of. */
import { share } from './scale-share.ts'
import { memoryOverTime } from './scale-time.ts'
import { devices, flows, frames, queues, rings } from './scale-tool.ts'
import { startup } from './scale-start.ts'
import { control } from './scale-control.ts'

export interface Effort {
  readonly quick: boolean
  /** Length of the run whose memory is watched. */
  readonly seconds: number
}

/** Each prints a table and returns its figures. */
export const SWEEPS: Readonly<Record<string, (effort: Effort) => Promise<object>>> = {
  share,
  queues,
  devices,
  flows,
  rings,
  frames,
  startup,
  control,
  time: ({ seconds }) => memoryOverTime(seconds),
}
