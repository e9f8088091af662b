/** What rate, memory and start-up do against more of everything: one sweep for each thing there can be more of. */
import { memoryOverTime } from './scale-time.ts'

export interface Effort {
  readonly quick: boolean
  /** Length of the run whose memory is watched. */
  readonly seconds: number
}

/** Each prints a table and returns its figures. */
export const SWEEPS: Readonly<Record<string, (effort: Effort) => Promise<object>>> = {
  time: ({ seconds }) => memoryOverTime(seconds),
}
