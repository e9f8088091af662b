/** What pktgen is asked for, and what it asks of each worker. */
import type { SharedCapture } from '../../captures/messages.ts'
import type { AnswerJob, Answered } from './answerer.ts'
import type { ProbeLayout } from './probe-layout.ts'
import type { FramePlan } from './templates/frame-plan.ts'
import type { AddressRange } from './templates/range.ts'
import type { Shape } from './templates/shape.ts'

export interface PktgenOptions {
  /** What packets look like; with `pcap` not used. */
  readonly shape: Shape
  /** As written, checked by the command line: `1.5Mpps`, `500kpps`, `2Gbit`, `10%`, `max`; null: line rate. */
  readonly rate: string | null
  /** Packets to send, null: without end. */
  readonly count: number | null
  /** Stamp packets, and report the round-trip times of those that come back. */
  readonly latency: boolean
  /** Send the frames of this capture over and over instead of generated packets. */
  readonly pcap: string | null
  /** Addresses to answer for. */
  readonly answer: readonly AddressRange[]
  /** Send these instead of packets of `shape`; null: there is no profile. */
  readonly streams: readonly Stream[] | null
}

/** One of several streams of a profile. */
export interface Stream {
  readonly name: string
  readonly shape: Shape
  /** As written; null: a share of what all of them have together. */
  readonly rate: string | null
  /** Of the packets; 1 where there are rates. */
  readonly share: number
  /** Packets to send, null: without end. */
  readonly count: number | null
}

/** Which packets of a run are a worker's: packet k is for the worker whose `index` is k mod `of`. */
export interface Share {
  readonly index: number
  readonly of: number
}

/** To have the card stamp some of the probes. */
export interface TimedJob {
  /** The WireDesk of the run. */
  readonly desk: SharedArrayBuffer
  /** Only packets for this UDP port can be stamped. */
  readonly port: number
  /** By stream, whether its packets can. */
  readonly streams: readonly boolean[]
  /** By which those of this run are known. A random number of 16 bits. */
  readonly source: number
}

/** To measure round trips. */
export interface ProbeJob {
  /** What tells this run's packets from others. A random number of 32 bits, the same for all workers. */
  readonly key: number
  /** By stream. */
  readonly layouts: readonly ProbeLayout[]
  /** The worker's LatencyBooks, by stream. */
  readonly books: readonly SharedArrayBuffer[]
  /** null: none of them can be stamped by a card. */
  readonly timed: TimedJob | null
}

/** What a worker tells at the end. */
export interface PktgenTally {
  /** Packets handed to the card, by stream. */
  readonly sent: readonly number[]
  readonly answered: Answered
}

/** One of several streams, and how fast all workers together send it. */
export interface StreamJob {
  readonly plan: FramePlan
  /** Packets per second, null: as many as the rings take, of which it has its share. */
  readonly rate: number | null
  /** As in PktgenJob. */
  readonly limitOnly: boolean
  readonly share: number
  readonly count: number | null
}

/** The same for every worker of a run but for `share` and the book of its probes. */
export interface PktgenJob {
  readonly share: Share
  /** Packets made after a plan and numbered, those of several plans, or those of a capture, over and over. */
  readonly frames:
    | { readonly kind: 'plan'; readonly plan: FramePlan }
    | { readonly kind: 'streams'; readonly streams: readonly StreamJob[] }
    | { readonly kind: 'capture'; readonly capture: SharedCapture }
  /** Packets per second of all workers together, null: as many as the rings take, or several streams keep to their own. */
  readonly rate: number | null
  /** If bits and not packets are to be kept to: the average frame, bytes without FCS, for which `rate` is right. */
  readonly rateFrameBytes: number | null
  /** `rate` is line rate, and nobody has asked for it: what couldn't be sent in time isn't made up for. */
  readonly limitOnly: boolean
  /** Packets to send, all workers together; null: without end, or as the streams say. */
  readonly count: number | null
  readonly probe: ProbeJob | null
  readonly answers: AnswerJob | null
}
