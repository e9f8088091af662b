/**
 * A probe that the card stamps as well, when it leaves and when it comes back (IEEE 1588). For that it is a PTP message, so it is
 * longer than others may be; everything else, and its number, is as it would be.
 *
 *     payload  0   1   2   3     4       8       14      18      20        30      32        end - 4
 *              ┌───┬───┬───┬─────┬───────┬───────┬───────┬───────┬─────────┬───────┬─ ─ ─ ─ ─┬──────────┐
 *              │ i │ r │ y │nonce│ check │ stamp │ zeros │~number│ source  │number │ zeros   │ sequence │
 *              └───┴───┴───┴─────┴───────┴───────┴───────┴───────┴─────────┴───────┴─ ─ ─ ─ ─┴──────────┘
 *
 * To the card, the low halves of `i` and `r` are a type and version 2 (IEEE 1588 §13.3); of source and number it tells whose time it
 * has. The source is the same two bytes five times: cards differ in which of them they keep.
 */
import type { TxQueue } from '../../driver/device.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { read16, write16 } from '../../packet/big-endian.ts'
import { addToSum, finishSum, internetChecksum } from '../../packet/checksum.ts'
import { HEADER_BYTES as IPV4_BYTES } from '../../packet/ipv4.ts'
import type { FrameSource } from './frame-source.ts'
import type { TimedJob } from './options.ts'
import { payloadIn, type ProbeLayout } from './probe-layout.ts'
import { WireDesk } from './wire-desk.ts'

/** What the low halves of the payload's first byte and of VERSION say. */
export const MESSAGE_TYPE = 0x69 & 0xf
/** Second byte of the payload. */
export const VERSION = 0x72
const ZEROS_AT = 14
/** The number's complement: there may be no checksum. */
const COMPLEMENT_AT = 18
const SOURCE_AT = 20
const NUMBER_AT = 30
const BEHIND = 32
/** Bytes of payload: as long as a Sync or Delay_Req. */
export const TIMED_PAYLOAD = 44
const SEQUENCE_BYTES = 4
/** In a rehearsal, which nobody watches, one batch of so many has one. */
const REHEARSED_EVERY = 16

export class TimedPackets {
  readonly desk: WireDesk
  private readonly memory: PacketMemory
  private readonly tx: TxQueue
  private readonly source: FrameSource
  private readonly job: TimedJob
  private readonly layouts: readonly ProbeLayout[]
  private readonly rehearsal: boolean
  private batches = 0
  /** Where the payload of the chosen packet begins. */
  private payload = 0
  private stream = 0

  constructor(
    memory: PacketMemory,
    tx: TxQueue,
    source: FrameSource,
    job: TimedJob,
    layouts: readonly ProbeLayout[],
    rehearsal: boolean,
  ) {
    this.memory = memory
    this.tx = tx
    this.source = source
    this.job = job
    this.layouts = layouts
    this.rehearsal = rehearsal
    this.desk = new WireDesk(job.desk)
  }

  /** Which of the first `count` packets of `batch`, of stream `stream`, is to be stamped: -1 for none. It is made long enough. */
  choose(batch: Int32Array, count: number, stream: number): number {
    if (this.rehearsal) this.desk.want(Math.floor(++this.batches / REHEARSED_EVERY))
    if (this.desk.due === 0 || !this.job.streams[stream] || this.tx.transmitStamped === undefined) return -1
    const { memory, layouts } = this
    const layout = layouts[stream]
    for (let i = 0; i < count; i++) {
      const frame = memory.dataOffset(batch[i])
      const payload = payloadIn(memory.u8, frame, layout)
      if (read16(memory.u8, payload - layout.transport + 2) !== this.job.port) continue
      this.payload = payload
      this.stream = stream
      const short = payload + TIMED_PAYLOAD - frame - memory.size[batch[i]]
      if (short > 0) this.lengthen(batch[i], frame, short)
      return i
    }
    return -1
  }

  /** The packet's number stays at its end. */
  private lengthen(id: number, frame: number, bytes: number): void {
    const { memory, payload } = this
    const { u8, size } = memory
    const { ip, ipVersion, transport } = this.layouts[this.stream]
    const end = frame + size[id]
    u8.copyWithin(end - SEQUENCE_BYTES + bytes, end - SEQUENCE_BYTES, end)
    u8.fill(0, end - SEQUENCE_BYTES, end - SEQUENCE_BYTES + bytes)
    size[id] += bytes
    const header = payload - ip
    const length = header + (ipVersion === 4 ? 2 : 4)
    write16(u8, length, read16(u8, length) + bytes)
    const datagram = payload - transport + 4
    write16(u8, datagram, read16(u8, datagram) + bytes)
    if (ipVersion !== 4) return
    write16(u8, header + 10, 0)
    write16(u8, header + 10, internetChecksum(u8, header, IPV4_BYTES))
  }

  /** Sends `batch[0 … count - 1]`, probes all of them; number `chosen` with the card's stamp. The ring has room for them. */
  send(batch: Int32Array, chosen: number, count: number): void {
    const { tx, desk } = this
    const number = desk.due
    const id = batch[chosen]
    this.mark(id, number)
    tx.transmit(batch, 0, chosen)
    tx.transmitStamped?.(batch, chosen)
    tx.transmit(batch, chosen + 1, count - chosen - 1)
    desk.sent(number)
    // What the buffer holds now is no packet as the source makes them.
    this.source.forget?.(id)
  }

  private mark(id: number, number: number): void {
    const { memory, payload, job } = this
    const { u8 } = memory
    u8[payload + 1] = VERSION
    for (let at = SOURCE_AT; at < NUMBER_AT; at += 2) write16(u8, payload + at, job.source)
    write16(u8, payload + NUMBER_AT, number & 0xffff)
    write16(u8, payload + COMPLEMENT_AT, ~number & 0xffff)
    const { hasChecksum, transport, ipVersion, protocol } = this.layouts[this.stream]
    if (!hasChecksum) return
    const behind = payload - transport
    const length = memory.dataOffset(id) + memory.size[id] - behind
    const addresses = ipVersion === 4 ? 8 : 32
    write16(u8, behind + 6, 0)
    const sum = finishSum(addToSum(protocol + length, u8, behind - addresses, length + addresses))
    write16(u8, behind + 6, sum === 0 ? 0xffff : sum)
  }
}

/** Between stamp and sequence number stands what a packet with the card's stamp has there, from `source`. */
export function holdsMessage(u8: Uint8Array, payload: number, end: number, source: number): boolean {
  let wrong = read16(u8, payload + NUMBER_AT) ^ read16(u8, payload + COMPLEMENT_AT) ^ 0xffff
  for (let at = ZEROS_AT; at < COMPLEMENT_AT; at++) wrong |= u8[payload + at]
  for (let at = SOURCE_AT; at < NUMBER_AT; at += 2) wrong |= read16(u8, payload + at) ^ source
  for (let at = payload + BEHIND; at < end - SEQUENCE_BYTES; at++) wrong |= u8[at]
  return wrong === 0 && end - payload >= TIMED_PAYLOAD
}

export function numberIn(u8: Uint8Array, payload: number): number {
  return read16(u8, payload + NUMBER_AT)
}
