/** What a kind of wire is, and what wires are made of. */
import type { Log } from '../../captures/messages.ts'
import type { Tap } from '../../linux/tap.ts'
import type { Ledger } from './ledger.ts'
import type { Wire } from './wire.ts'

/** One wire of a list, as written. */
export interface WireItem {
  /** `gen,rate=1Mpps` */
  readonly text: string
  readonly kind: WireKind
  /** What follows the `=` of the wire itself: `out.pcap`; '' if it takes nothing. */
  readonly value: string
  readonly options: ReadonlyMap<string, string>
}

export interface WireContext {
  /** Shared by all wires of a process. */
  readonly ledger: Ledger
  /** Line rate, and what `rate=10%` refers to. */
  readonly linkMbit: number
  /** Gets the work of other threads that has to be waited for, before the start and at the end. */
  readonly work: FileWork[]
  /** The process whose descriptors `/dev/fd/<n>` means; by default this one. */
  readonly owner?: number
  readonly log: Log
  /** Plugs into a TAP. Default: openTap. */
  readonly openTap?: (name: string) => Tap
}

export interface WireKind {
  /** How to write it. */
  readonly usage: string
  readonly takesValue: boolean
  readonly options: readonly string[]
  /**
   * What it does with a frame from the NIC: it is its end, it copies it and lets it pass, it hands it on to somewhere from
   * where it may come back, or it passes it on to the other wires with faults.
   */
  readonly role: 'end' | 'copy' | 'onward' | 'fault'
  /** What it may send of its own accord, as a share of line rate: 0, 1, or Infinity where nothing limits it. */
  share(item: WireItem): number
  /** Throws IXY_ERR_USAGE or IXY_ERR_FILE; creates nothing. */
  check(item: WireItem): void
  /** `books`: the wire books in the ledger what the NIC sends. `inner`: what is behind a fault. */
  create(item: WireItem, context: WireContext, books: boolean, inner: Wire): Wire
}

/** What a thread does for a wire. */
export interface FileWork {
  /** Resolves when the wire can start. Throws IXY_ERR_FILE. */
  ready?(): Promise<void>
  /** Frames are on their way to where they belong, however slowly. */
  readonly busy?: boolean
  /** Resolves when all that the wire has taken is where it belongs. Throws IXY_ERR_OUTPUT. */
  flush?(): Promise<void>
}
