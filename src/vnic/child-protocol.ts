/**
 * The messages between a command that uses `virtual:<wire>` devices and its one child process (child-main.ts)
 * that plays all of those NICs. They travel over Node's IPC channel; registers and packets go through the sockets.
 *
 * The child ignores SIGINT and SIGTERM (a terminal sends them to both) and exits when the channel closes, so nothing
 * is left behind however the parent dies.
 */
import type { ErrorCode } from '../errors.ts'
import type { CardTotals } from './model/totals.ts'
import type { WireAccount } from './wires/account.ts'
import type { WireReport } from './wires/wire.ts'

export interface NicSpec {
  /** As the user wrote it, for messages: `virtual:gen`. */
  readonly name: string
  /** The `<wire>` argument, `gen,record=out.pcap`. */
  readonly wire: string
  /** Path of the UNIX socket to listen on; removed by the child once a client is connected, and at its end. */
  readonly socket: string
}

export type ToChild =
  /** Once, first. Answered by `listening` or `error`. */
  | {
      readonly type: 'start'
      readonly nics: readonly NicSpec[]
      /** The NICs verify checksums and report packet types. */
      readonly inspect: boolean
    }
  /** Answered by `report` with the same id. */
  | { readonly type: 'report'; readonly id: number }
  /**
   * The wires stop sending. Answered by `report` with the same id as soon as what they have sent has come out again or
   * nothing moves any more.
   */
  | { readonly type: 'quiesce'; readonly id: number }
  /** Answered by `report` with the same id once captures hold all that was sent, by `error` if they can't. */
  | { readonly type: 'flush'; readonly id: number }
  /** Close everything and exit with code 0. */
  | { readonly type: 'stop' }

export interface NicReport {
  /** The wire sends a limited number of frames (`count=`, `replay=` without `repeat=0`). */
  readonly finite: boolean
  /** The wire has sent all it had, or was told to stop. */
  readonly ended: boolean
  /** Nothing has moved in this NIC for a while: what is not out by now will not come. */
  readonly settled: boolean
  /** When it first and last moved a frame, milliseconds on CLOCK_MONOTONIC; null: never. */
  readonly moved: { readonly first: number; readonly last: number } | null
  /** Frames that are in its packet buffer now. */
  readonly buffered: number
  readonly card: CardTotals
  readonly account: WireAccount
  readonly wires: readonly WireReport[]
  readonly breaches: readonly { readonly rule: string; readonly count: number }[]
}

export type FromChild =
  | { readonly type: 'listening' }
  /** `nics` in the order of `start`; `id` of the request, or null when a NIC's `ended` or `settled` has changed; every second if anything is new, or while a request has no answer. */
  | { readonly type: 'report'; readonly id: number | null; readonly nics: readonly NicReport[] }
  /** For the user's log. */
  | { readonly type: 'log'; readonly level: 'warning' | 'progress'; readonly text: string }
  /** Something failed; the child exits after this message. `nics`: their last counts; [] if there are none. */
  | {
      readonly type: 'error'
      readonly code: ErrorCode
      readonly message: string
      readonly nics: readonly NicReport[]
    }
