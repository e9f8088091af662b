/**
 * What an app is: a file that says which ports it needs and moves packets between them. Everything else is the engine's:
 * devices, memory, the loop and its rest, the rehearsal, counters, signals, the end.
 *
 * An app is loaded twice: in the main thread, which asks it for a plan, and in each worker, where it moves packets. The two
 * share nothing but what the plan hands over, so an app keeps no state at the top of its file.
 */
import type { PacketStamps, RxQueue, TxQueue } from '../driver/device.ts'
import type { OffloadUse } from '../memory/offloads.ts'
import type { PacketMemory } from '../memory/packets.ts'

/** One device, as a worker sees it: one of its queue pairs. */
export interface AppPort {
  readonly rx: RxQueue
  readonly tx: TxQueue
  /**
   * Packets received here that the app has not passed on because it was told so, by a filter. The app counts them, once per batch:
   * `port.filteredOut += n`. They are `filtered_out` in the statistics; the balance doesn't take them for lost.
   */
  filteredOut: number
}

/** What an app is told in the main thread, before any device is touched. */
export interface PlanContext {
  /** As the user wrote them: `0000:03:00.0`, `virtual:gen`. Port i of each worker is a queue pair of device i. */
  readonly devices: readonly string[]
  /** Of each device, whether it is a card in this machine, which its link holds to line rate. Nothing holds the others. */
  readonly physical: readonly boolean[]
  /** Queue pairs per device, and so workers, and so jobs. */
  readonly queues: number
  /** Largest packet, bytes after the Ethernet header. */
  readonly mtu: number
  /** Says something that is worth a line on stderr. */
  readonly log: (level: 'warning' | 'progress', text: string) => void
  /** Writes a line to stdout; false if it is left out, as too much waits for whoever reads. */
  readonly print: (line: string) => boolean
  /** Aborted when the run is to end. */
  readonly stop: AbortSignal
}

/** An app, and where a worker finds it. */
export interface LoadedApp {
  readonly app: App
  /** Path of the file whose default export it is; null: it is one of those that ixy-ts brings along. */
  readonly file: string | null
}

/** What a device and its rings have dropped, packets by cause; an entry with a queue repeats part of that of the whole device. */
export interface DroppedBy {
  readonly index: number
  readonly queue: number | null
  readonly dropped: Readonly<Record<string, number>>
}

/** What an app has measured of round trips up to now. */
export interface RoundTrips {
  /** Packets by what became of them, and times in microseconds; null where nothing was measured. */
  readonly figures: Readonly<Record<string, number | null>>
  /** Of all times, nanoseconds. */
  readonly sum: number
  /** How many took how long: the longest time of a bucket in nanoseconds, and its count; ascending, without empty ones. Each power of two less one ends a bucket. */
  readonly histogram: readonly (readonly [number, number])[]
}

/** A plan for those that must know the links first, or that hold something open during the run. */
export interface Plan<Job> {
  /**
   * One job per worker, asked for when the links are up. `linkMbit`: the speed of each device's link in Mbit/s, 0 while it
   * is down.
   */
  jobs(linkMbit: readonly number[]): readonly Job[]
  /**
   * Packets flow from now on. `dropped` tells what has been dropped up to now; it asks the cards. `stamps`: by device, what tells when
   * packets pass the card, null where nothing does.
   */
  started?(dropped: () => readonly DroppedBy[], stamps: readonly (PacketStamps | null)[]): void
  /** Rejects when the plan can't go on: the run ends with that error. Never resolves. */
  readonly failed?: Promise<never>
  /** Resolves when there is no more to do, with the reason that is told: the run ends. */
  readonly ended?: Promise<'done' | 'signal'>
  /**
   * Once all packets are in: does what is still to be done with them, and resolves when that is over, or it is late(). What it
   * rejects with has failed the run. `devices`: their last counts, [] if none came up.
   */
  finish?(devices: readonly DroppedBy[], late: () => boolean): Promise<void>
  /** What the run has found out, for its result. `results`: what each worker has returned, of those that could. */
  result?(results: readonly unknown[]): unknown
  /**
   * Packets that it has sent and that are still to come back, asked once it has been told to send no more: the run waits for them,
   * two seconds at most, and half a second after a signal. Not where all ends of wires are this run's own, as it knows then what is under way.
   */
  underWay?(): number
  /** For those who watch the run: asked in the main thread, about once a second. null: it measures none. */
  roundTrips?(): RoundTrips | null
  /** Gives back what it holds. Called once, whatever became of the run. */
  close?(): void
}

/** A module of WebAssembly that moves packets. */
export interface WasmStep {
  /** Calls its `step`, then tells the cards what it has done to their rings. As AppSteps.step(). */
  readonly step: () => number
  /** What else it exports, for make() to set it up: functions, globals. */
  readonly exports: Readonly<Record<string, unknown>>
}

/** What an app gets in a worker. */
export interface WorkerContext {
  /** One per device, in the order of the command line. Received packets come from the pool of the port's number. */
  readonly ports: readonly AppPort[]
  /** This worker's packet buffers: nobody else's, no lock, no copy. */
  readonly memory: PacketMemory
  /** The numbers of the app's own pools, for memory.allocate(): as many as App.pools asks for. */
  readonly pools: readonly number[]
  /** Packets per batch, as the user wants them. */
  readonly batchSize: number
  /** The module of App.wasm, ready for these ports; null: there is none, or no memory for it, as with --backend ts. */
  readonly wasm: WasmStep | null
  /** One slot per name in App.counters, 0 at the start. Written by this worker only: `counters[0] += n`. */
  readonly counters: Float64Array
  /** This worker's number, from 0, and how many there are. */
  readonly worker: number
  readonly workers: number
  /** This is a rehearsal: packets are pretended ones, and whatever outlives the app must not learn of them. */
  readonly rehearsal: boolean
}

/** An app at work in one worker. */
export interface AppSteps {
  /**
   * Moves packets, at most a batch or so per port, and returns how many: 0 lets the worker rest. It never waits. Called over
   * and over; it allocates nothing, as the collector would stop the worker.
   */
  step(): number
  /** Packets flow from now on. `startedAt`: milliseconds of CLOCK_MONOTONIC, the same for all workers; 0 in a rehearsal. */
  begin?(startedAt: number): void
  /** The run is about to end: from now on step() sends nothing of its own accord, and goes on with what still comes in. */
  quiet?(): void
  /** True once all is done that was asked for: the run ends when every worker has. Asked now and then, between two steps. */
  done?(): boolean
  /** What this worker has found out. Asked once, after the last step; structured-cloneable. */
  result?(): unknown
  /**
   * Forgets all packets of the rehearsal. An app that has this is made once, and goes from its rehearsal into the run with
   * the machine code that was made for it. Any other is made anew.
   */
  reset?(): void
}

/**
 * An app. `Options` is what `options` makes of the command line, `Job` is what one worker is to do: structured-cloneable,
 * by default the options.
 */
export interface App<Options = unknown, Job = Options> {
  /** A word: lower-case letters, digits, `-`. */
  readonly name: string
  /** How many devices it takes. */
  readonly ports: { readonly min: number; readonly max: number }
  /** Buffer pools besides one per port: packets that the app makes itself need one. Default 0. */
  readonly pools?: number
  /** Received packets of one port that it keeps from step to step, at most: so many buffers more. Default 0. */
  readonly held?: number
  /** Names of its counters, which are printed and served beside those of the devices. */
  readonly counters?: readonly string[]
  /**
   * Pairs of ports between which it passes everything: what comes in at the first goes out of the second, unchanged in number
   * but for what the port has counted in `filteredOut`, and nothing else does. The balance of the run then follows packets through the app, and `--expect-loss` counts what the app
   * loses. Ports without a pair end, and begin, at the app.
   */
  readonly passes?: readonly (readonly [number, number])[]
  /**
   * What it makes of offloads (`PacketMemory.offloads`). 'uses': it asks devices for checksums, segmentation and VLAN tags, and
   * looks at what they say; packets always have them. 'understands': it passes packets on unseen, or sees to it that a checksum
   * may be open; packets have offloads if a device gives such packets. Left out: `memory.offloads` is null, and packets are complete.
   */
  readonly offloads?: OffloadUse
  /**
   * A file with a module of WebAssembly that can make the steps, beside that of the app: `hop.wasm`. It gets the worker's memory as
   * `env.memory` and calls ports and pools by what it imports from `ixy-ts`; make() finds it in its context.
   */
  readonly wasm?: string
  /** It sends without being asked: the run doesn't end when all sources on its wires have. Default false. */
  readonly generates?: boolean
  /** Main thread: reads what follows `--` on the command line. An error thrown here is one of usage. */
  options?(argv: readonly string[]): Options
  /** Main thread: what each worker is to do, one job per queue. Default: the options for each. */
  plan?(
    options: Options,
    context: PlanContext,
  ): readonly Job[] | Plan<Job> | Promise<readonly Job[] | Plan<Job>>
  /** Worker: makes what moves the packets. Called for the rehearsal, and for the run unless there is reset(). */
  make(context: WorkerContext, job: Job): AppSteps
}
