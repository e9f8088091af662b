/** What the thread of a capture is started with, and what it tells. */
import type { IxyError } from '../errors.ts'
import type { FileLimits } from './file-limits.ts'

/** How a capture is to be read. */
export interface ReaderOptions {
  /** As written on the command line, see file-name.ts: a file, a FIFO, `-`. */
  readonly name: string
  /** The process whose descriptors `/dev/fd/<n>` means. */
  readonly owner: number | 'self'
  /** Refuse what would be a warning. */
  readonly strict: boolean
  /** 2: twice as fast. */
  readonly speed: number
  /** Longest pause in what is played, milliseconds; Infinity: as in the capture. */
  readonly gap: number
  /** Destination address of headers that are made; null: that of the packets pktgen sends. */
  readonly mac: Uint8Array | null
  /** Longer frames are skipped. */
  readonly longest: number
}

/** How a capture is to be read ahead. */
export interface FeedSpec extends ReaderOptions {
  /** How often it is read; 0: without end. */
  readonly repeat: number
  /** Frames are filled up with zeros to so many bytes. */
  readonly shortest: number
  readonly ring: SharedArrayBuffer
}

/** What a pcapng file says about the interface that its packets come from. */
export interface InterfaceFacts {
  readonly name: string
  /** bit/s; 0: not known. */
  readonly bitsPerSecond: number
  /** In tcpdump's language; '': none. */
  readonly filter: string
  /** The program, `ixy-ts 1.0.0`. */
  readonly program: string
}

/** How a capture is to be written. */
export interface RecordSpec {
  readonly name: string
  readonly owner: number | 'self'
  /** Longest packet that is recorded whole; what the file's header says. */
  readonly snapLength: number
  readonly limits: FileLimits
  /** What pcapng says besides its packets, and for CaptureCounts; null: the file is pcap. */
  readonly pcapng: { readonly facts: InterfaceFacts; readonly counts: SharedArrayBuffer } | null
  /** One per queue that packets come from. The first carries the orders, and the state. */
  readonly rings: readonly SharedArrayBuffer[]
  /** For Progress, see record-thread.ts. */
  readonly progress: SharedArrayBuffer
}

/** How a capture is to be read for several who share its frames, see blocks.ts. */
export interface ShareSpec extends ReaderOptions {
  /** For BlockProgress. */
  readonly progress: SharedArrayBuffer
}

/** The frames of a capture, in memory that several threads share. */
export interface SharedCapture {
  readonly blocks: readonly SharedArrayBuffer[]
  /** For BlockProgress; null: the blocks hold the whole capture. */
  readonly progress: SharedArrayBuffer | null
}

export type CaptureTask =
  | { readonly role: 'feed'; readonly spec: FeedSpec }
  | { readonly role: 'share'; readonly spec: ShareSpec }
  | { readonly role: 'record'; readonly spec: RecordSpec }

export type FromCaptureThread =
  /** For the user's log. */
  | { readonly type: 'warning' | 'progress'; readonly text: string }
  /** The ring is full, or holds all there is. */
  | { readonly type: 'primed' }
  /** Of a capture that is written: nothing more gets into it, as it is complete, or as nobody reads the pipe any more. */
  | { readonly type: 'complete'; readonly gone: boolean }
  /** Of a capture that is shared: bytes of packets that were read so far; then, once, that it can be used. */
  | { readonly type: 'read'; readonly bytes: number }
  | {
      readonly type: 'shared'
      readonly capture: SharedCapture
      /** Of those in the blocks now, bytes without FCS. */
      readonly averageFrameBytes: number
    }
  /** The thread ends. */
  | { readonly type: 'failed'; readonly code: IxyError['code']; readonly message: string }

export type Tell = (message: FromCaptureThread) => void

/** Where warnings and news about captures go. */
export type Log = (level: 'warning' | 'progress', text: string) => void
