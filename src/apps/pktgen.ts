import type { DataPlane } from '../engine/data-plane.ts'
import type { PktgenJob } from '../engine/worker-spec.ts'
import { Pacer } from '../packet/pacer.ts'

/** The pools of a pktgen worker: what is received must not overwrite what is to be sent. */
const TRANSMIT_POOL = 1

/** Sends the job's frames in turn out of the first port, and takes in what comes back, until told to stop. */
export function pktgen(plane: DataPlane, job: PktgenJob): void {
  const { memory, batchSize } = plane
  const { rx, tx } = plane.ports[0]
  const { frames, sequence } = job
  const limit = job.count ?? Infinity
  const pacer = job.rate === null ? null : new Pacer(job.rate)
  const received = new Int32Array(batchSize)
  const batch = new Int32Array(batchSize)
  /** Which frame each buffer holds, so that it is copied only when it changes. */
  const holds = new Int32Array(memory.size.length).fill(-1)

  let sent = 0
  let next = 0
  while (plane.running()) {
    memory.free(received, 0, rx.receive(received, batchSize))
    let wanted = Math.min(batchSize, limit - sent, tx.room())
    if (pacer !== null) wanted = Math.min(wanted, pacer.allowance(performance.now()))
    if (wanted <= 0) continue

    const count = memory.allocate(TRANSMIT_POOL, batch, wanted)
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      const offset = memory.dataOffset(id)
      const frame = frames[next]
      if (holds[id] !== next) {
        copy(frame, memory.u8, offset)
        memory.size[id] = frame.length
        holds[id] = next
      }
      if (sequence) writeSequence(memory.u8, offset + frame.length - 4, sent + i)
      next = next + 1 === frames.length ? 0 : next + 1
    }
    tx.transmit(batch, 0, count)
    sent += count
    pacer?.spend(count)
    if (sent === limit) plane.finished()
  }
  plane.drain(() => {
    const count = rx.receive(received, batchSize)
    memory.free(received, 0, count)
    return count
  })
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
