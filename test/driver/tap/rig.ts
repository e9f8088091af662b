/** A queue with a kernel of a few lines behind it: what it reads, and what becomes of what it writes, is the test's to say. */
import { type FrameIo, READ } from '../../../src/driver/tap/frame-io.ts'
import { HEADER_BYTES, READ_VECTORS, WRITE_VECTORS, queueBytes } from '../../../src/driver/tap/layout.ts'
import * as COUNTER from '../../../src/driver/tap/counters.ts'
import { type QueueParts, partsOf } from '../../../src/driver/tap/parts.ts'
import { TapReceive } from '../../../src/driver/tap/receive.ts'
import { TapTransmit } from '../../../src/driver/tap/transmit.ts'
import { mmap, munmap, viewOf } from '../../../src/linux/mapping.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'

export const EAGAIN = -11
export const EINVAL = -22
export const EIO = -5

/** What stands in front of a frame at a TAP. */
export interface NetHeader {
  readonly flags: number
  readonly gso: number
  readonly headerBytes: number
  readonly segment: number
  readonly checksumStart: number
  readonly checksumOffset: number
}

export const NO_HEADER: NetHeader = {
  flags: 0,
  gso: 0,
  headerBytes: 0,
  segment: 0,
  checksumStart: 0,
  checksumOffset: 0,
}

export interface Framed {
  readonly header: NetHeader
  readonly frame: Uint8Array
}

export class Rig implements FrameIo {
  readonly memory: PacketMemory
  readonly parts: QueueParts
  readonly rx: TapReceive
  readonly tx: TapTransmit
  /** The kernel's: a number is an error. */
  readonly incoming: (Framed | number)[] = []
  readonly written: Framed[] = []
  /** What a write of this ends with, 0: well. */
  judge: (framed: Framed) => number = () => 0
  reads = 0
  private readonly address: bigint
  private readonly bytes: Uint8Array
  private readonly all: number

  constructor({ poolShift = 8, offloads = false, joins = { tcp: true, udp: true } } = {}) {
    const bufferShift = 11
    const packets = (2 << poolShift) << bufferShift
    this.all = packets + queueBytes()
    this.address = mmap(this.all)
    this.bytes = new Uint8Array(viewOf(this.address, this.all))
    this.memory = new PacketMemory({
      address: this.address,
      pageIovas: new Float64Array([2 ** 32]),
      pageBytes: 2 ** 40,
      pageOffset: 0,
      bufferShift,
      poolShift,
      pools: 2,
      ...(offloads && { offloads: { use: 'understands', pool: -1 } }),
    })
    const memory = this.address + BigInt(packets)
    const spec = {
      driver: 'tap',
      fd: -1,
      ring: null,
      memory,
      entries: 512,
      interrupt: null,
      joins,
    } as const
    this.parts = partsOf(spec, this.memory)
    this.rx = new TapReceive(this.memory, 0, this.parts, this)
    this.tx = new TapTransmit(this.memory, this.parts, this)
    this.rx.start(this, false)
    this.tx.start(this)
    this.parts.counters[COUNTER.RECEIVING] = 1
  }

  close(): void {
    munmap(this.address, this.all)
  }

  run(
    operation: number,
    _fd: number,
    _vectors: unknown,
    first: Uint16Array,
    pieces: Uint16Array,
    count: number,
    results: Int32Array,
  ): void {
    const table = operation === READ ? READ_VECTORS : WRITE_VECTORS
    const vectors = new BigUint64Array(this.bytes.buffer, this.bytes.length - queueBytes() + table)
    for (let i = 0; i < count; i++) {
      const parts = Array.from({ length: pieces[i] }, (_, k) => {
        const at = Number(vectors[2 * (first[i] + k)] - this.address)
        return this.bytes.subarray(at, at + Number(vectors[2 * (first[i] + k) + 1]))
      })
      results[i] = operation === READ ? this.scatter(parts) : this.gather(parts)
    }
    if (operation === READ) this.reads++
  }

  private scatter(parts: readonly Uint8Array[]): number {
    const next = this.incoming.shift() ?? EAGAIN
    if (typeof next === 'number') return next
    const { flags, gso, headerBytes, segment, checksumStart, checksumOffset } = next.header
    const whole = new Uint8Array(HEADER_BYTES + next.frame.length)
    whole.set([flags, gso])
    const fields = [headerBytes, segment, checksumStart, checksumOffset]
    fields.forEach((field, i) => new DataView(whole.buffer).setUint16(2 + 2 * i, field, true))
    whole.set(next.frame, HEADER_BYTES)
    let done = 0
    for (const part of parts) {
      part.set(whole.subarray(done, done + part.length))
      done = Math.min(whole.length, done + part.length)
    }
    return done
  }

  private gather(parts: readonly Uint8Array[]): number {
    const whole = new Uint8Array(Buffer.concat(parts))
    const view = new DataView(whole.buffer)
    const [headerBytes, segment, checksumStart, checksumOffset] = [2, 4, 6, 8].map((at) =>
      view.getUint16(at, true),
    )
    const header = { flags: whole[0], gso: whole[1], headerBytes, segment, checksumStart, checksumOffset }
    const framed = { header, frame: whole.slice(HEADER_BYTES) }
    const verdict = this.judge(framed)
    if (verdict !== 0) return verdict
    this.written.push(framed)
    return whole.length
  }

  /** Packets of the app's with these bytes. */
  packets(frames: readonly Uint8Array[]): Int32Array {
    const ids = new Int32Array(frames.length)
    expect(this.memory.allocate(1, ids, frames.length)).toBe(frames.length)
    frames.forEach((frame, i) => {
      this.memory.u8.set(frame, this.memory.dataOffset(ids[i]))
      this.memory.size[ids[i]] = frame.length
    })
    return ids
  }

  /** Takes out what is there, `limit` at a time, and frees it. */
  receiveAll(limit: number): Uint8Array[] {
    const batch = new Int32Array(limit)
    const frames: Uint8Array[] = []
    for (;;) {
      const count = this.rx.receive(batch, limit)
      if (count === 0 && this.incoming.length === 0) return frames
      for (const id of batch.subarray(0, count)) frames.push(this.bytesOf(id))
      this.memory.free(batch, 0, count)
    }
  }

  bytesOf(id: number): Uint8Array {
    const at = this.memory.dataOffset(id)
    return this.memory.u8.slice(at, at + this.memory.size[id])
  }
}
