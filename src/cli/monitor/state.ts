/**
 * What `stats --live` and `stats --listen` show: every run of this machine at one moment. It is the JSON of /stats.json and /events
 * as well, so it is changed only by adding; docs/monitoring.md tells what is in it.
 */
import type { AccessPath } from '../../pci/transport.ts'
import type { Breach } from '../../engine/types.ts'
import type { WireReport } from '../../vnic/wires/wire.ts'

export interface MonitorState {
  /** When the runs were asked, RFC 3339. */
  readonly time: string
  /** Of the ixy-ts that tells this. */
  readonly version: string
  readonly host: string
  /** Seconds between two questions. */
  readonly interval: number
  readonly runs: readonly RunState[]
}

export interface RunState {
  /** The same as long as it runs, and no other's. */
  readonly id: string
  readonly pid: number
  /** `forward`, `vnic`, or the name of the user's app. */
  readonly command: string
  readonly version: string
  /** null: it is of an older version, and doesn't tell. */
  readonly startedAt: string | null
  /** All but `running` don't answer: what is shown is what they said last, and no rates. */
  readonly state: 'running' | 'stopped' | 'hangs'
  /** Length of the interval that rates are of; null: there are none yet. */
  readonly seconds: number | null
  readonly devices: readonly DeviceState[]
  readonly workers: readonly WorkerState[]
  /** null: it has no counters of its own. */
  readonly app: AppState | null
  /** null: it measures no round trips. */
  readonly latency: LatencyState | null
  /** Only in /stats.json. */
  readonly history?: readonly HistoryEntry[]
}

export interface TrafficState {
  /** Since the run has started. */
  readonly packets: number
  /** Without FCS. */
  readonly bytes: number
  /** Of the last interval; null: there is none. */
  readonly packetsPerSecond: number | null
  /** On the wire: with preamble, FCS and gap. */
  readonly bitsPerSecond: number | null
  /** The most of an interval since somebody looks; null as above. */
  readonly peakPacketsPerSecond: number | null
  readonly peakBitsPerSecond: number | null
}

interface CountersState {
  readonly rx: TrafficState
  readonly tx: TrafficState
  /** Packets by cause, since the start. */
  readonly dropped: Readonly<Record<string, number>>
  /** Of the last interval, of causes that there were; {}: none, or there is no interval. */
  readonly droppedPerSecond: Readonly<Record<string, number>>
}

export interface QueueState extends CountersState {
  readonly queue: number
}

export interface DeviceState extends CountersState {
  readonly device: string
  readonly index: number
  /** The name, with its place behind it where another device of the run has the same. */
  readonly label: string
  readonly model: string
  readonly mac: string
  readonly access: AccessPath
  readonly linkUp: boolean
  /** 0: no link, or the device doesn't tell. */
  readonly linkMbit: number
  /** [] where there is only one. */
  readonly queues: readonly QueueState[]
  /** Of a virtual card, as of up to a second before. */
  readonly wires: readonly WireReport[]
  readonly breaches: readonly Breach[]
}

export interface WorkerState {
  readonly worker: number
  readonly polls: number
  /** Those that moved something. */
  readonly usefulPolls: number
  /** The same of the last interval, as a share of its polls; null: it has none. */
  readonly usefulShare: number | null
}

export interface AppState {
  readonly name: string
  readonly counters: Readonly<Record<string, number>>
  /** Of the last interval; {}: there is none. */
  readonly perSecond: Readonly<Record<string, number>>
}

export interface LatencyState {
  /** Since the start: packets by what became of them, times in microseconds. */
  readonly total: Readonly<Record<string, number | null>>
  /** Times of the last interval in microseconds, rounded up by at most 1/32; null: nothing came back in it. */
  readonly interval: IntervalLatency | null
  readonly sumNanoseconds: number
  /** Since the start: the longest time of a bucket in nanoseconds, and its count. */
  readonly histogram: readonly (readonly [number, number])[]
}

export interface IntervalLatency {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** An interval of the past. */
export interface HistoryEntry {
  readonly time: string
  /** In the order of `RunState.devices`. */
  readonly devices: readonly RateEntry[]
  readonly latency: IntervalLatency | null
}

export interface RateEntry {
  readonly rxPacketsPerSecond: number
  readonly txPacketsPerSecond: number
  readonly rxBitsPerSecond: number
  readonly txBitsPerSecond: number
  /** Of all causes. */
  readonly droppedPerSecond: number
  /** Of each queue; [] where there is only one. */
  readonly queues: readonly Omit<RateEntry, 'queues'>[]
}
