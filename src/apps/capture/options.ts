/** What capture is asked for, and what it asks of each worker. */
import type { FileLimits } from '../../captures/file-limits.ts'
import type { FilterProgram } from '../../packet/filter/program.ts'

export interface CaptureOptions {
  /** As written on the command line, `-` is stdout; null: packets are shown, not written. */
  readonly file: string | null
  readonly format: 'pcap' | 'pcapng'
  /** Bytes that are kept of a packet. */
  readonly snapLength: number
  /** Packets after which the capture is complete, null: without end. */
  readonly count: number | null
  readonly limits: FileLimits
  /** In tcpdump's language; '': everything. */
  readonly filter: string
  /** How packets that aren't written are shown, as lines or as JSON; null: not at all. */
  readonly show: 'text' | 'json' | null
}

/** What a worker is to do. */
export interface CaptureJob {
  /** Where its packets go, see frame-ring.ts; null: they are counted. */
  readonly ring: SharedArrayBuffer | null
  /** null: everything is wanted. */
  readonly filter: FilterProgram | null
  /** For CaptureCounts. */
  readonly counts: SharedArrayBuffer
  /** Bytes that are kept of a packet. */
  readonly snapLength: number
  /** Milliseconds of the monotonic clock at which the second began from which times count. */
  readonly clock: number
  /** For Quota; null: there is no end. */
  readonly quota: SharedArrayBuffer | null
}
