/** What a run does if nobody says otherwise. */
import type { RunOptions } from './types.ts'

/** The part of RunOptions that has nothing to do with app and devices. */
export type Settings = Omit<RunOptions, 'app' | 'appOptions' | 'devices'>

export const DEFAULTS = {
  access: null,
  batchSize: null,
  queues: 1,
  ringSize: 512,
  mtu: 1500,
  mode: 'poll',
  backend: null,
  duration: null,
  interval: 1,
  cpus: [],
  force: false,
  /** $IXY_TS_CHECK: for programs whose command line is somebody else's. */
  check: process.env['IXY_TS_CHECK'] === '1',
  inspect: false,
} as const satisfies Settings
