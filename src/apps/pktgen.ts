import type { DataPlane } from '../engine/data-plane.ts'
import type { PktgenJob } from '../engine/worker-spec.ts'
import type { RecordableHistogram } from 'node:perf_hooks'
import { MonotonicClock } from '../linux/monotonic.ts'
import type { PacketMemory } from '../memory/packets.ts'
import { LINE_RATE_MEMORY, Pacer } from '../packet/pacer.ts'
import { LatencyProbe } from './latency-probe.ts'

/** The pools of a pktgen worker: what is received must not overwrite what is to be sent. */
const TRANSMIT_POOL = 1

/**
 * Sends the job's frames in turn out of the first port, and takes in what comes back, until told to stop. With `latency`,
 * packets are stamped, and the round-trip times of those that come back recorded there in nanoseconds.
 */
export function pktgen(plane: DataPlane, job: PktgenJob, latency: RecordableHistogram | null): void {
  const { memory, batchSize } = plane
  const { rx, tx } = plane.ports[0]
  const limit = job.count ?? Infinity
  const pacer = makePacer(job)
  const clock = new MonotonicClock()
  const source = new FrameSource(memory, TRANSMIT_POOL, job.frames, job.sequence)
  const probe = latency === null ? null : new LatencyProbe(memory, latency)
  const received = memory.batch(batchSize)
  const takeIn = (): number => {
    const count = rx.receive(received, batchSize)
    if (probe !== null && count > 0) probe.collect(received, count, clock.now())
    memory.free(received, 0, count)
    return count
  }
  const batch = memory.batch(batchSize)

  /** Packets that the pacer has allowed and that are not sent yet. */
  let allowed = pacer === null ? Infinity : 0
  if (limit === 0) plane.finished()
  while (plane.running()) {
    const taken = takeIn()
    // The clock is asked only when there is too little left for a batch.
    if (pacer !== null && allowed < batchSize) allowed = pacer.allowance(clock.now())
    const wanted = Math.min(batchSize, limit - source.sent, tx.room(), allowed)
    if (wanted <= 0 || plane.quiet) {
      plane.rest(taken)
      continue
    }

    const count = source.next(batch, wanted)
    if (probe !== null) probe.stamp(batch, count, clock.now())
    tx.transmit(batch, 0, count)
    allowed -= count
    pacer?.spend(count)
    if (source.sent === limit) plane.finished()
  }
  plane.drain(takeIn)
}

function makePacer({ rate, limitOnly }: PktgenJob): Pacer | null {
  if (rate === null) return null
  return limitOnly ? new Pacer(rate, LINE_RATE_MEMORY) : new Pacer(rate)
}

/** Packets ready to be sent: frames in turn, each with a sequence number if there is to be one. */
export class FrameSource {
  private readonly memory: PacketMemory
  private readonly pool: number
  private readonly frames: readonly Uint8Array[]
  private readonly sequence: boolean
  /** Which frame each buffer holds, so that it is copied only when it changes. */
  private readonly holds: Int32Array
  private turn = 0
  /** In an array, as a double field that grows out of the small integers would have the loop compiled again. */
  private readonly count = new Float64Array(1)

  constructor(memory: PacketMemory, pool: number, frames: readonly Uint8Array[], sequence: boolean) {
    this.memory = memory
    this.pool = pool
    this.frames = frames
    this.sequence = sequence
    this.holds = new Int32Array(memory.size.length).fill(-1)
  }

  /** Packets made so far. */
  get sent(): number {
    return this.count[0]
  }

  /** Puts the ids of up to `wanted` packets into `batch[0…]`; returns how many. They are the caller's. */
  next(batch: Int32Array, wanted: number): number {
    const { memory, frames, sequence, holds } = this
    const { u8, size } = memory
    const count = memory.allocate(this.pool, batch, wanted)
    let number = this.count[0] >>> 0
    let turn = this.turn
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      const offset = memory.dataOffset(id)
      if (holds[id] !== turn) {
        copy(frames[turn], u8, offset)
        size[id] = frames[turn].length
        holds[id] = turn
      }
      if (sequence) writeSequence(u8, (offset + size[id] - 4) | 0, number)
      number = (number + 1) >>> 0
      turn = turn + 1 === frames.length ? 0 : turn + 1
    }
    this.turn = turn
    this.count[0] += count
    return count
  }
}

function copy(frame: Uint8Array, to: Uint8Array, offset: number): void {
  for (let i = 0; i < frame.length; i++) to[offset + i] = frame[i]
}

/** 32 bits, little-endian, wrapping around after 2^32 packets. */
function writeSequence(u8: Uint8Array, offset: number, value: number): void {
  u8[offset] = value
  u8[offset + 1] = value >>> 8
  u8[offset + 2] = value >>> 16
  u8[offset + 3] = value >>> 24
}
