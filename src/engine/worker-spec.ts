/** What the main thread tells a worker, and the memory both look at while it runs. */
import type { QueueSpec } from '../driver/device.ts'
import type { PacketMemorySpec } from '../memory/packets.ts'
import type { ArenaFile } from '../memory/wasm-space.ts'
import type { PollMode } from './types.ts'

/** The worker's orders, in the 32-bit word `control[COMMAND]`; the main thread writes it and wakes the worker. */
export const COMMAND = 0
/** Rings are armed; wait for the devices to start. */
export const COMMAND_WAIT = 0
export const COMMAND_RUN = 1
/** Send nothing of one's own any more; go on taking in and passing on what arrives. */
export const COMMAND_QUIET = 2
/** Empty the rings and end. */
export const COMMAND_STOP = 3
/** As COMMAND_QUIET, and whatever still arrives can wait for a moment. */
export const COMMAND_SETTLE = 4
/** The double `control[STARTED]`: when the run began, milliseconds of CLOCK_MONOTONIC. Written before COMMAND_RUN. */
export const STARTED = 1
/** The 32-bit word `control[BEAT]`: counts the worker's polls, so that one that doesn't come back from a step is noticed. */
export const BEAT = 1
/** The 32-bit word `control[IN_APP]`: 1 while the worker is in code of the app's. */
export const IN_APP = 4
export const CONTROL_BYTES = 24

/** Counters of one port of one worker, in `counters[port * COUNTERS + …]`: exact doubles, written by the worker only. */
export const RX_PACKETS = 0
export const RX_BYTES = 1
export const TX_PACKETS = 2
export const TX_BYTES = 3
/** The first counter of packets dropped by the driver or the app; DROP_CAUSES names them in order. */
export const FIRST_DROP = 4
export const DROP_CAUSES = [
  'pool_empty',
  'fragments',
  'tx_unsent',
  'rx_untaken',
  'bad_length',
  'filtered_out',
] as const
export const POOL_EMPTY = FIRST_DROP
export const FRAGMENTS = FIRST_DROP + 1
/** Still in the transmit ring when the worker gave up waiting. */
export const TX_UNSENT = FIRST_DROP + 2
/** Still in the receive ring when the worker ended. */
export const RX_UNTAKEN = FIRST_DROP + 3
/** Dropped for a length that no packet in their buffers can have. */
export const BAD_LENGTH = FIRST_DROP + 4
/** Not passed on by the app, as it was told so: AppPort.filteredOut. */
export const FILTERED_OUT = FIRST_DROP + 5
export const COUNTERS = FIRST_DROP + DROP_CAUSES.length

/** Behind the counters of all ports come the worker's, then the app's own. When it first and last saw packets move, milliseconds on CLOCK_MONOTONIC; 0: never. */
export const FIRST_MOVED = 0
export const LAST_MOVED = 1
/** Its polls, and those that moved something. Written in this order, so that whoever reads them the other way round never sees more of the latter. */
export const POLLS = 2
export const USEFUL_POLLS = 3
export const OF_WORKER = 4

/** What the main thread posts to a worker, once. */
export interface WorkerSpec {
  /** CPU to pin to, null: leave it to the scheduler. */
  readonly cpu: number | null
  readonly memory: PacketMemorySpec
  /** The arena to map into a WebAssembly memory, null: the inner loops are JavaScript's. */
  readonly wasm: ArenaFile | null
  /** Fail if there is no address space for that, instead of doing without. */
  readonly wasmOnly: boolean
  /** One queue pair per device; its received packets take the buffers of the pool of the same number. */
  readonly ports: readonly QueueSpec[]
  /** CONTROL_BYTES: COMMAND, BEAT, STARTED, IN_APP. */
  readonly control: SharedArrayBuffer
  /** Float64: COUNTERS per port, then OF_WORKER, then the app's own. */
  readonly counters: SharedArrayBuffer
  readonly batchSize: number
  readonly mode: PollMode
  /** Go by the books of memory/checked. */
  readonly check: boolean
  /** Which app: its name, and the path of its file, null if ixy-ts brings it along. */
  readonly app: { readonly name: string; readonly file: string | null }
  /** What the app is to do here. */
  readonly job: unknown
  /** This worker's number, and how many there are. */
  readonly worker: number
  readonly workers: number
}

/** What a worker posts to the main thread. */
export type FromWorker =
  /** Something is not as it should be, but the worker goes on. */
  | { readonly type: 'warning'; readonly text: string }
  /** Rings are armed; the devices may start. */
  | { readonly type: 'armed' }
  /** The app has done all it was asked to (pktgen --count); it goes on receiving until it is stopped. */
  | { readonly type: 'finished' }
  /** The last message: what the app has found out. */
  | { readonly type: 'result'; readonly result: unknown }
