/** What the command line hands to the engine, and what the engine tells it back. */
import type { IxyError } from '../errors.ts'
import type { OffloadUse } from '../memory/offloads.ts'
import type { AccessPath } from '../pci/transport.ts'
import type { LoadedApp, RoundTrips } from './app.ts'
import type { Balance } from './balance.ts'
import { type LossVerdict, NO_LOSS } from './loss.ts'
import type { WireReport } from '../vnic/wires/wire.ts'

/** Everything a run needs. The command line has checked syntax and ranges; only the system can still say no. */
export interface RunOptions {
  readonly app: LoadedApp
  /** What its App.options has made of the command line, or what stands for that. */
  readonly appOptions: unknown
  /** As the user wrote them: `0000:03:00.0`, `vfio-user:/run/a.sock`, `virtual:gen`. As many as the app takes. */
  readonly devices: readonly string[]
  /** null: by what the system offers. */
  readonly access: 'sysfs' | 'vfio' | null
  /** Packets per batch, at least 1 and less than `ringSize`; null: what suits the devices. */
  readonly batchSize: number | null
  /** Receive/transmit queue pairs per device, one worker each. */
  readonly queues: number
  /** Descriptors per ring, a power of two from 64 to 4096. */
  readonly ringSize: number
  /** Largest packet, bytes of payload after the Ethernet header: 1500, up to 9000 for jumbo frames. */
  readonly mtu: number
  readonly mode: PollMode
  /** null: by what the memory allows. */
  readonly backend: Backend | null
  /** Seconds from the moment the data plane starts; null: until a signal, or until everything is sent. */
  readonly duration: number | null
  /** Seconds between two interval events. */
  readonly interval: number
  /** CPUs for the workers in order, [] for no pinning. */
  readonly cpus: readonly number[]
  /** Take a NIC that is in use, or of an unknown model. */
  readonly force: boolean
  /** Check every packet buffer: who owns it, what is written to it. A mistake of the app's ends the run with IXY_ERR_CHECK. Slow. */
  readonly check: boolean
  /** `virtual:<wire>` devices verify checksums and report packet types, as every other virtual 82599 does. */
  readonly inspect: boolean
}

/** What the inner loops of receive and transmit are compiled from: TypeScript by V8, or AssemblyScript to WebAssembly. */
export type Backend = 'ts' | 'wasm'

/** What a worker with nothing to do does: go on polling, sleep until an interrupt, or the one and after a while the other. */
export type PollMode = 'poll' | 'interrupt' | 'adaptive'

/** Packets and bytes (without FCS) in one direction. */
export interface Traffic {
  readonly packets: number
  readonly bytes: number
}

/** Counters of one device or one of its queues: over an interval, or since the start. */
export interface DeviceCounters {
  /** Position on the command line, from 0: two devices may be called `virtual:gen`. */
  readonly index: number
  readonly device: string
  /** null: the whole device. Every report has exactly one such entry per device; entries per queue may follow it. */
  readonly queue: number | null
  readonly rx: Traffic
  readonly tx: Traffic
  /** Packets by cause. Causes with 0 packets may be left out. */
  readonly dropped: Readonly<Record<string, number>>
}

/** A device that is up. */
export interface DeviceInfo {
  readonly index: number
  readonly device: string
  /** `Intel 82599ES 10-Gigabit SFI/SFP+`… */
  readonly model: string
  /** `52:54:00:00:00:01` */
  readonly mac: string
  readonly access: AccessPath
  readonly linkUp: boolean
  /** Mbit/s, 0 while the link is down, or if the device doesn't tell. */
  readonly linkMbit: number
}

/** What was counted between two reports. */
export interface IntervalEvent {
  /** Its end, milliseconds since 1970. */
  readonly time: number
  /** Seconds since the data plane started. */
  readonly elapsed: number
  /** Length of this interval in seconds, as measured. */
  readonly seconds: number
  /** What has changed in the interval. */
  readonly devices: readonly DeviceCounters[]
  /** Totals since the start, in the order of `devices`. */
  readonly totals: readonly DeviceCounters[]
  /** Only if the app has counters of its own. */
  readonly app?: AppInterval
}

/** An app's own counters, of all workers together, by name. */
export interface AppInterval {
  readonly name: string
  /** What has changed in the interval. */
  readonly counters: Readonly<Record<string, number>>
  /** Since the start. */
  readonly total: Readonly<Record<string, number>>
}

export interface LinkNow {
  readonly index: number
  readonly up: boolean
  /** Mbit/s, 0 while it is down, or if the device doesn't tell. */
  readonly mbit: number
}

export interface LinkEvent {
  readonly index: number
  readonly device: string
  readonly up: boolean
}

/** A rule of the datasheet that the driver broke, as seen by the virtual NIC. */
export interface Breach {
  /** `RDT = RDH + …: the ring must keep one descriptor free (82599 §7.1.9)` */
  readonly rule: string
  readonly count: number
}

/** What a virtual NIC of this run has to tell at its end. */
export interface VirtualReport {
  readonly index: number
  readonly device: string
  readonly wires: readonly WireReport[]
  readonly breaches: readonly Breach[]
  /** False if its process has ended without telling: these are the counts of up to a second before. */
  readonly final: boolean
}

/** Called by the engine as things happen, on the main thread. None of these throws. */
export interface RunObserver {
  /** Once: devices are up (or their link was waited for long enough) and the data plane starts. */
  started(devices: readonly DeviceInfo[]): void
  /** Every `interval` seconds, and not for a shorter rest at the end. */
  interval(event: IntervalEvent): void
  /** The link of a device has changed after `started`. */
  link(event: LinkEvent): void
  /** Something worth a line while the user waits: `waiting for link of virtual:gen`. */
  progress(message: string): void
  /** Something is not as it should be, but the run goes on. */
  warning(message: string): void
  /** A line of the app's own for stdout; returns false if it was left out, as too much waits for whoever reads. */
  line?(text: string): boolean
}

export type EndReason = 'duration' | 'count' | 'done' | 'signal' | 'error'

/** Everything that a run has counted and found out. */
export interface RunResult {
  /** Seconds the data plane ran; 0 if it never started. */
  readonly elapsed: number
  /** Seconds in which packets moved, see activity.ts: averages are over these. */
  readonly active: number
  readonly reason: EndReason
  /** Totals since the start, as far as they could be read; [] if no device came up. */
  readonly devices: readonly DeviceCounters[]
  readonly virtual: readonly VirtualReport[]
  /** Where every frame has gone, for each direction; [] if no device came up. */
  readonly balance: readonly Balance[]
  readonly loss: LossVerdict
  /** Totals of the app's own counters, by name, of all workers together; {} if it has none. */
  readonly counters: Readonly<Record<string, number>>
  /** What the app has found out, see App; null if it has nothing to tell. */
  readonly result: unknown
  /** With reason `error`, else null. */
  readonly error: IxyError | null
}

/** The result of a run that has failed, or was stopped (null), before any device was open. */
export function neverStarted(error: IxyError | null): RunResult {
  const reason = 'the run has not started'
  return {
    elapsed: 0,
    active: 0,
    reason: error === null ? 'signal' : 'error',
    devices: [],
    virtual: [],
    balance: [],
    loss: { judged: false, reason, ...NO_LOSS },
    counters: {},
    result: null,
    error,
  }
}

/**
 * Runs one app on its devices until it ends, `stop` is aborted or something fails; then stops cleanly.
 * Never rejects: a failure, also one before the start, is in the result, with every counter that could still be read.
 */
export type Run = (options: RunOptions, observer: RunObserver, stop: AbortSignal) => Promise<RunResult>

/** What an app has counted itself, by the names that it has given. */
export interface AppTotals {
  readonly name: string
  readonly counters: Readonly<Record<string, number>>
}

/** How often a worker has polled since the start, and how often that moved something. */
export interface WorkerPolls {
  readonly worker: number
  readonly polls: number
  readonly useful: number
}

/** What the wires of a virtual device have counted, as of up to a second ago. */
export interface WiresNow {
  readonly index: number
  readonly device: string
  /** Without `lost`: what is under way isn't. */
  readonly wires: readonly WireReport[]
  readonly breaches: readonly Breach[]
}

/** Everything that one process has counted at some time. What it doesn't have, or doesn't know yet as it is an older version, is left out. */
export interface Sample {
  /** Seconds on the monotonic clock of that process: only differences mean something. */
  readonly time: number
  /** Totals since its start. Entries keep their places from sample to sample. */
  readonly devices: readonly DeviceCounters[]
  /** Totals of the app's own counters, if it has any. */
  readonly app?: AppTotals
  /** The devices' links, as last looked at: up to a second ago. */
  readonly links?: readonly LinkNow[]
  readonly workers?: readonly WorkerPolls[]
  readonly roundTrips?: RoundTrips
  readonly wires?: readonly WiresNow[]
}

/** What a session is opened with. What isn't given is as in DEFAULTS (settings.ts). */
export type SessionOptions = Pick<RunOptions, 'devices'> &
  Partial<
    Pick<
      RunOptions,
      'access' | 'batchSize' | 'cpus' | 'queues' | 'ringSize' | 'force' | 'mtu' | 'mode' | 'inspect'
    >
  > & {
    /** Packets of one port that the app keeps beyond a batch. Default 0. */
    readonly held?: number
    /** Buffer pools besides one per device. Default 0. */
    readonly extraPools?: number
    /** What the app does with offloads; null, the default: nothing. */
    readonly offloads?: OffloadUse | null
  }

/** With every default in its place. */
export type CompleteSessionOptions = Required<SessionOptions>

/** Who is told of what a session has to say. */
export type SessionObserver = Pick<RunObserver, 'warning' | 'progress'>
