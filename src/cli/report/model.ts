/** What a report tells of a run. It is embedded in the page as JSON, for the charts. */
import type { End, Start } from './schema.ts'

/** Packets and bytes of a stretch of time, and the lowest and highest rate of the intervals in it, packets per second. */
export interface Flow {
  readonly packets: number
  readonly bytes: number
  readonly low: number
  readonly high: number
}

/** One interval, or several that were merged. */
export interface Stretch {
  /** Its end, seconds since the start of the run. */
  readonly end: number
  readonly seconds: number
  readonly rx: Flow
  readonly tx: Flow
  readonly dropped: Readonly<Record<string, number>>
}

/** What a device or a queue has counted over time. */
export interface SeriesData {
  readonly label: string
  readonly index: number
  readonly queue: number | null
  readonly stretches: readonly Stretch[]
}

type Device = Start['devices'][number]
export type Total = End['devices'][number] & { readonly label: string }
export type Latency = NonNullable<End['latencyMicroseconds']>
export type WireLatency = NonNullable<End['wireLatency']>
export type Jitter = NonNullable<End['jitterMicroseconds']>
export type Reordering = NonNullable<End['reordering']>
export type StreamCounts = NonNullable<End['streams']>[number]
export type Rfc2544 = NonNullable<End['rfc2544']>
export type Balance = End['balance'][number]

export interface RunData {
  /** Of several runs, none has the name of another. */
  readonly name: string
  readonly command: string
  readonly version: string
  /** When packets began to flow, RFC 3339; '' where nobody has written that down. */
  readonly time: string
  readonly arguments: readonly string[] | null
  readonly system: NonNullable<Start['system']> | null
  readonly devices: readonly (Device & { readonly label: string })[]
  readonly lineRateLimited: boolean | null
  /** Seconds. */
  readonly elapsed: number
  readonly activeSeconds: number
  /** null: the end of the run is missing. */
  readonly reason: string | null
  readonly error: End['error']
  /** What a reader has to know about the numbers. */
  readonly notes: readonly string[]
  /** Of each device, and of each queue where there are several. */
  readonly totals: readonly Total[]
  readonly series: readonly SeriesData[]
  readonly links: readonly { readonly elapsed: number; readonly label: string; readonly up: boolean }[]
  readonly apps: End['apps']
  readonly virtual: readonly (End['virtual'][number] & { readonly label: string })[]
  readonly balance: readonly Balance[]
  readonly loss: End['loss'] | null
  readonly latency: Latency | null
  readonly wire: WireLatency | null
  readonly jitter: Jitter | null
  readonly reordering: Reordering | null
  /** Of a profile of pktgen. */
  readonly streams: readonly StreamCounts[] | null
  /** By pktgen --answer. */
  readonly answered: Readonly<Record<string, number>> | null
  readonly rfc2544: Rfc2544 | null
}
