/** What rate, memory and start-up do against more of everything: one sweep for each thing there can be more of. */
import type { Effort } from './effort.ts'
import { share } from './share.ts'
import { memoryOverTime } from './time.ts'
import { devices, flows, frames, queues, rings } from './tool.ts'
import { startup } from './start.ts'
import { control } from './control.ts'

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
