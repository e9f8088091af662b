/**
 * What is plugged into a virtual NIC's port.
 *
 * A wire is polled by the NIC's loop, on the NIC's thread. Nothing here may block or allocate per frame.
 * A frame is Ethernet without preamble and FCS, as in a capture file.
 */
import type { Bytes } from '../../packet/bytes.ts'
import type { Burst } from '../burst.ts'
import type { WireAccount } from './account.ts'

/** Port.deliverBurst for ports that take one frame at a time. */
export function deliverEach(port: Pick<Port, 'deliver'>, burst: Burst): number {
  const { memory, offsets, lengths, first, count } = burst
  let delivered = 0
  for (let i = first; i < first + count; i++) if (port.deliver(memory, offsets[i], lengths[i])) delivered++
  return delivered
}

/** Wire.sendBurst for wires that take one frame at a time. */
export function sendEach(wire: Pick<Wire, 'send'>, burst: Burst, now: number): number {
  const { memory, offsets, lengths, first, count } = burst
  let sent = 0
  while (sent < count && wire.send(memory, offsets[first + sent], lengths[first + sent], now)) sent++
  return sent
}

/** The NIC's side of the connector: where a wire puts frames for the host to receive. */
export interface Port {
  /**
   * How many frames find descriptors right now, whatever their size and their queue. 0 while the link is down, receiving is
   * off, or frames wait in the packet buffer: they come first.
   */
  room(): number
  /**
   * Hands one frame to the NIC, which copies it, into its packet buffer if there is no descriptor. Returns false if it was
   * dropped at once. A statistics register counts that (packet buffer full: MPC; queue without a descriptor: QPRDC; too long:
   * ROC…), but not what a filter keeps out nor what comes while nobody listens. `left`: when it has left the card at the far end
   * (Wire.stamped), if that is known: no time passes on a wire.
   */
  deliver(memory: Bytes, offset: number, length: number, left?: number): boolean
  /**
   * Hands over a frame that the MAC at the far end has made itself (PAUSE), which overtakes all others. Returns false if this MAC
   * has kept it: then nobody counts it as a frame.
   */
  control(memory: Bytes, offset: number, length: number): boolean
  /** The far end has asked for silence: frames of this NIC don't get onto the wire before; milliseconds on the clock of poll(). */
  readonly pausedUntil: number
  /** deliver() for each frame of a burst; returns how many were not dropped. Much cheaper per frame. */
  deliverBurst(burst: Burst): number
  /** True while the link is up and the host has enabled receiving. Wires that send by the clock start when this is true. */
  listening(): boolean
  /** Plugs or unplugs the cable. LINKS follows, and the link interrupt. */
  setLink(up: boolean): void
}

export interface WireReport {
  /** `gen`, `record=out.pcap`… as the user wrote it. */
  readonly wire: string
  /** Named counters: sent, received, lost, duplicated, reordered, corrupted, dropped… 0 is shown too. */
  readonly counters: Readonly<Record<string, number>>
  /** Why loss can't be judged here, although this wire generates frames with sequence numbers; then there is no `lost`. */
  readonly notJudged?: string
}

export interface Wire {
  /**
   * Moves frames from the far end into the NIC: at most `budget`. Returns the number of frames offered (delivered or not),
   * 0 if there was nothing to do: the loop sleeps when every wire and every ring is idle.
   * `now` is milliseconds on the monotonic clock. Throws why the wire can't go on: a TAP was deleted, a disk is full. Frames
   * that were offered by then are counted.
   */
  poll(port: Port, budget: number, now: number): number

  /**
   * Takes a frame the NIC has sent. `memory` may be the host's own memory: valid during the call only.
   * Returns false if the wire can't take it now (the NIC tries the same frame again later: flow control). Never throws: what
   * is wrong is kept for poll(), as the NIC counts what was taken before.
   */
  send(memory: Bytes, offset: number, length: number, now: number): boolean

  /**
   * The frame that was sent last has a time stamp: it has left the NIC at this time, milliseconds on a monotonic clock. A wire that
   * delivers it to another NIC tells that one.
   */
  stamped?(left: number): void

  /** Takes a frame of the NIC's own MAC (PAUSE). Wires without a MAC at their far end have no use for it. */
  control?(memory: Bytes, offset: number, length: number): void

  /** send() for each frame of a burst, until one is not taken; returns how many were. For wires that can do it faster. */
  sendBurst?(burst: Burst, now: number): number

  /** Milliseconds on the monotonic clock when poll() next has something to do on its own; Infinity if never. */
  nextEvent(now: number): number

  /** File descriptors that wake the loop when readable (TAP). */
  readonly wakeFds: readonly number[]

  /** True if this wire sends a limited number of frames (gen with count=, replay without repeat=0). */
  readonly finite: boolean
  /** True once a finite wire has sent everything. An infinite one: once it was told to stop. */
  ended(): boolean
  /** Send nothing more from now on; keep taking what arrives. */
  stop(): void

  /** Every part of the wire that has something to tell, at any time, also after poll() has thrown. */
  reports(): WireReport[]

  /** Where the frames are, at any time between two polls. */
  account(): WireAccount

  /** Flushes files, removes what was created. Idempotent. */
  close(): void
}
