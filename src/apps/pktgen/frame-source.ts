import type { TxQueue } from '../../driver/device.ts'
import type { Share } from './options.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { type Bytes, bytesOver, copyBytes } from '../../packet/bytes.ts'
import { PacketFields } from './packet-fields.ts'
import type { FramePlan } from './templates/frame-plan.ts'

const SEQUENCE_BYTES = 4

/** Packets ready to be sent, those of one worker. */
export interface FrameSource {
  /** Packets made so far. */
  readonly sent: number
  /** The same by stream. */
  readonly sentOfEach: readonly number[]
  /** The stream of those that next() has made last, 0 where there is only one. */
  readonly stream: number
  /**
   * Puts the ids of up to `wanted` packets into `batch[0…]`; returns how many, which may be fewer, or none for now. They are
   * the caller's.
   */
  next(batch: Int32Array, wanted: number): number
  /**
   * A function that makes up to `wanted` packets, a whole number, and sends them, faster than next() and transmit(); it returns how many. Whoever has
   * asked for it calls next() no more. null if `tx` can't make these.
   */
  sender?(tx: TxQueue): Send | null
  /** Buffer `id` holds no packet of its any more: somebody has changed more of it than its payload. */
  forget?(id: number): void
  /** The run begins. `startedAt`: milliseconds of CLOCK_MONOTONIC. */
  begin?(startedAt: number): void
}

export type Send = (wanted: number) => number

/** The packet memory as bytes and as words. */
export function bytesOf({ u8 }: PacketMemory): Bytes {
  return bytesOver(u8.buffer, u8.byteOffset, u8.length)
}

/** Of the packets of a plan those that are this worker's share, each with its number in the run. */
export class GeneratedFrames implements FrameSource {
  readonly stream = 0
  private readonly memory: PacketMemory
  private readonly plan: FramePlan
  private readonly share: Share
  private readonly bytes: Bytes
  private readonly pool: number
  private readonly templates: readonly Bytes[]
  private readonly sizes: Uint16Array
  private readonly turns: Uint8Array
  /** Which template each buffer holds, so that it is copied only when it changes. */
  private readonly holds: Int16Array
  /** The number by which buffers hold the first template: those of other streams have others. */
  private readonly base: number
  /** How far number and turn go on from one packet to this worker's next. */
  private readonly step: number
  private readonly turnStep: number
  /** What else differs from packet to packet. */
  private readonly fields: PacketFields
  /** One size, no fields: nothing but numbers to be written. */
  private readonly uniform: boolean
  /** The template of each packet of a batch. */
  private readonly chosen: Uint8Array
  private nextNumber: number
  private nextTurn: number
  /** In an array, as a double field that grows out of the small integers would have the loop compiled again. */
  private readonly count = new Float64Array(1)

  /** `held`: where several streams use the same buffers, what each of them holds, and the number of this stream's first template. */
  constructor(
    memory: PacketMemory,
    pool: number,
    plan: FramePlan,
    share: Share,
    held = { holds: new Int16Array(memory.size.length).fill(-1), base: 0 },
  ) {
    const { templates, turns } = plan
    const { index, of } = share
    this.memory = memory
    this.plan = plan
    this.share = share
    this.bytes = bytesOf(memory)
    this.pool = pool
    this.templates = templates.map((frame) => bytesOver(paddedToWords(frame).buffer))
    this.sizes = Uint16Array.from(templates, (frame) => frame.length)
    this.turns = Uint8Array.from(turns)
    this.holds = held.holds
    this.base = held.base
    this.step = of
    this.turnStep = of % turns.length
    this.fields = new PacketFields(memory, plan, share)
    this.uniform = turns.length === 1 && this.fields.none
    this.chosen = new Uint8Array(1 << memory.poolShift)
    this.nextNumber = index
    this.nextTurn = index % turns.length
  }

  get sent(): number {
    return this.count[0]
  }

  get sentOfEach(): readonly number[] {
    return [this.sent]
  }

  forget(id: number): void {
    this.holds[id] = -1
  }

  /** `family`: as in Recipe. */
  sender({ generator }: TxQueue, family: object = {}): Send | null {
    const { plan, pool, count, share, fields } = this
    const send = generator?.({ ...plan, ...share, pool, family, fields: fields.ofRecipe }) ?? null
    if (send === null) return null
    return (wanted) => {
      const made = send(wanted)
      count[0] += made
      return made
    }
  }

  next(batch: Int32Array, wanted: number): number {
    const count = this.memory.allocate(this.pool, batch, wanted)
    if (this.uniform) this.number(batch, count)
    else this.make(batch, count)
    this.count[0] += count
    return count
  }

  /** Packets that differ by their numbers only. */
  private number(batch: Int32Array, count: number): void {
    const { memory, holds, step, base } = this
    const { u8 } = memory
    const tail = this.sizes[0] - SEQUENCE_BYTES
    let number = this.nextNumber
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      if (holds[id] !== base) this.place(id, 0)
      writeSequence(u8, (memory.dataOffset(id) + tail) | 0, number)
      number = (number + step) | 0
    }
    this.nextNumber = number
  }

  private make(batch: Int32Array, count: number): void {
    const { memory, sizes, turns, holds, chosen, step, turnStep, base } = this
    const { u8 } = memory
    const period = turns.length
    let number = this.nextNumber
    let turn = this.nextTurn
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      const template = turns[turn]
      chosen[i] = template
      if (holds[id] !== base + template) this.place(id, template)
      writeSequence(u8, (memory.dataOffset(id) + sizes[template] - SEQUENCE_BYTES) | 0, number)
      number = (number + step) | 0
      turn += turnStep
      if (turn >= period) turn -= period
    }
    this.fields.write(batch, chosen, count, this.nextNumber)
    this.nextNumber = number
    this.nextTurn = turn
  }

  /** Copies a template into buffer `id`. */
  private place(id: number, template: number): void {
    const { memory, sizes } = this
    copyBytes(this.templates[template], 0, this.bytes, memory.dataOffset(id), sizes[template])
    memory.size[id] = sizes[template]
    this.holds[id] = this.base + template
  }
}

function paddedToWords(frame: Uint8Array): Uint8Array {
  const padded = new Uint8Array((frame.length + 3) & ~3)
  padded.set(frame)
  return padded
}

/** 32 bits, little-endian, wrapping around after 2^32 packets. */
function writeSequence(u8: Uint8Array, offset: number, value: number): void {
  u8[offset] = value
  u8[offset + 1] = value >>> 8
  u8[offset + 2] = value >>> 16
  u8[offset + 3] = value >>> 24
}
