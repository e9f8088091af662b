/** What the main thread tells a worker, and the memory both look at while it runs. */
import type { SharedCapture } from '../captures/messages.ts'
import type { QueueSpec } from '../driver/device.ts'
import type { PacketMemorySpec } from '../memory/packets.ts'
import type { ArenaFile } from '../memory/wasm-space.ts'
import type { FramePlan } from '../packet/template.ts'
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
/** The double `control[STARTED]`: when the run began, milliseconds of CLOCK_MONOTONIC. Written before COMMAND_RUN. */
export const STARTED = 1
export const CONTROL_BYTES = 16

/** Counters of one port of one worker, in `counters[port * COUNTERS + …]`: exact doubles, written by the worker only. */
export const RX_PACKETS = 0
export const RX_BYTES = 1
export const TX_PACKETS = 2
export const TX_BYTES = 3
/** The first counter of packets dropped by the driver or the app; DROP_CAUSES names them in order. */
export const FIRST_DROP = 4
export const DROP_CAUSES = ['pool_empty', 'fragments', 'tx_unsent', 'rx_untaken', 'bad_length'] as const
export const POOL_EMPTY = FIRST_DROP
export const FRAGMENTS = FIRST_DROP + 1
/** Still in the transmit ring when the worker gave up waiting. */
export const TX_UNSENT = FIRST_DROP + 2
/** Still in the receive ring when the worker ended. */
export const RX_UNTAKEN = FIRST_DROP + 3
/** Dropped for a length that no packet in their buffers can have. */
export const BAD_LENGTH = FIRST_DROP + 4
export const COUNTERS = FIRST_DROP + DROP_CAUSES.length

/** Behind the counters of all ports: when the worker first and last saw packets move, milliseconds on CLOCK_MONOTONIC; 0: never. */
export const FIRST_MOVED = 0
export const LAST_MOVED = 1
export const MOMENTS = 2

export interface ForwardJob {
  readonly kind: 'forward'
  readonly touch: boolean
}

/** Which packets of a run are a worker's: packet k is for the worker whose `index` is k mod `of`. */
export interface Share {
  readonly index: number
  readonly of: number
}

/** The same for every worker of a run but for `share`. */
export interface PktgenJob {
  readonly kind: 'pktgen'
  readonly share: Share
  /** Packets made after a plan and numbered, or those of a capture, over and over. */
  readonly frames:
    | { readonly kind: 'plan'; readonly plan: FramePlan }
    | { readonly kind: 'capture'; readonly capture: SharedCapture }
  /** Packets per second of all workers together, null: as many as the rings take. */
  readonly rate: number | null
  /** If bits and not packets are to be kept to: the average frame, bytes without FCS, for which `rate` is right. */
  readonly rateFrameBytes: number | null
  /** `rate` is line rate, and nobody has asked for it: what couldn't be sent in time isn't made up for. */
  readonly limitOnly: boolean
  /** Packets to send, all workers together; null: without end. */
  readonly count: number | null
  /** To measure round trips: what tells this run's packets from others. A random number of 32 bits. */
  readonly probeKey: number | null
}

export type Job = ForwardJob | PktgenJob

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
  /** CONTROL_BYTES: COMMAND, STARTED. */
  readonly control: SharedArrayBuffer
  /** Float64: COUNTERS per port, then MOMENTS. */
  readonly counters: SharedArrayBuffer
  /** For round trips, see latency.ts; null: they are not measured. */
  readonly latency: SharedArrayBuffer | null
  readonly batchSize: number
  readonly mode: PollMode
  readonly job: Job
}

/** What a worker posts to the main thread. */
export type FromWorker =
  /** Something is not as it should be, but the worker goes on. */
  | { readonly warning: string }
  /** Rings are armed; the devices may start. */
  | 'armed'
  /** The app has sent all it was asked to (pktgen --count); it goes on receiving until it is stopped. */
  | 'finished'
