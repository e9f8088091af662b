/**
 * What a device doesn't do of offloads, done in front of its queues: checksums are completed and VLAN tags put in where the packet
 * is, large packets are cut into buffers of a pool that is there for it.
 */
import { type DeviceOffloads, OffloadFlag, type PacketOffloads } from '../memory/offloads.ts'
import { MOST_SEGMENTS } from '../memory/offload-rules.ts'
import type { PacketMemory } from '../memory/packets.ts'
import { whole } from '../memory/whole.ts'
import { Segmentation } from '../packet/segmentation.ts'
import { specialise } from '../specialise.ts'
import type { RxQueue, TxQueue } from './device.ts'
import {
  ASKED,
  closeChecksum,
  closeIpChecksum,
  putTagIn,
  takeTagOut,
  verifyOffloads,
} from './offload-work.ts'
import type { QueuePair } from './queues.ts'

const NOTHING: DeviceOffloads = {
  receive: false,
  checksum: false,
  ipChecksum: false,
  segment: false,
  vlan: false,
}

/** `pair`, with all offloads of `memory`, of which the device does `does`. The pair itself if there is nothing left to be done. */
export function withSoftwareOffloads(
  pair: QueuePair,
  memory: PacketMemory,
  does: DeviceOffloads = NOTHING,
): QueuePair {
  const { offloads } = memory
  if (offloads === null) return pair
  // An app that only understands offloads asks for no more than it has been given: open checksums.
  const all = offloads.stripVlan
  const strip = all && !does.vlan
  const sends = does.checksum && (!all || (does.ipChecksum && does.segment && does.vlan))
  return {
    headerBytes: pair.headerBytes,
    fillsBuffers: pair.fillsBuffers ?? false,
    start: () => pair.start(),
    rehearse: () => pair.rehearse(),
    rx: does.receive && !strip ? pair.rx : new OffloadRx(pair.rx, memory, offloads, does),
    tx: sends ? pair.tx : new OffloadTx(pair.tx, memory, offloads, does),
  }
}

class OffloadRx implements RxQueue {
  readonly receive: (batch: Int32Array, limit: number) => number
  readonly untaken: () => number
  private readonly rx: RxQueue

  constructor(rx: RxQueue, memory: PacketMemory, offloads: PacketOffloads, does: DeviceOffloads) {
    this.rx = rx
    const strip = offloads.stripVlan && !does.vlan
    this.receive = specialise(makeReceive)(rx.receive, memory, offloads, !does.receive, strip, takeTagOut)
    this.untaken = rx.untaken
  }

  get packets(): number {
    return this.rx.packets
  }

  get bytes(): number {
    return this.rx.bytes
  }

  get poolEmpty(): number {
    return this.rx.poolEmpty
  }

  get fragments(): number {
    return this.rx.fragments
  }

  get badLength(): number {
    return this.rx.badLength
  }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. `clear`: the device writes no flags. */
function makeReceive(
  receive: RxQueue['receive'],
  memory: PacketMemory,
  offloads: PacketOffloads,
  clear: boolean,
  strip: boolean,
  takeOut: (memory: PacketMemory, offloads: PacketOffloads, id: number) => void,
): RxQueue['receive'] {
  const { flags, segment } = offloads
  return (batch, limit) => {
    const count = receive(batch, limit)
    for (let i = 0; i < count; i++) {
      const id = batch[i]
      if (clear) {
        flags[id] = 0
        segment[id] = 0
      }
      if (strip) takeOut(memory, offloads, id)
    }
    return count
  }
}

class OffloadTx implements TxQueue {
  readonly transmit: (batch: Int32Array, from: number, count: number) => number
  readonly room: () => number
  readonly pending: () => number
  private readonly tx: TxQueue
  private readonly memory: PacketMemory
  private readonly offloads: PacketOffloads
  private readonly does: DeviceOffloads
  private readonly plan = new Segmentation()
  private readonly pieces: Int32Array
  private readonly one = new Int32Array(1)

  constructor(tx: TxQueue, memory: PacketMemory, offloads: PacketOffloads, does: DeviceOffloads) {
    this.tx = tx
    this.memory = memory
    this.offloads = offloads
    this.does = does
    this.pieces = memory.batch(MOST_SEGMENTS)
    const asked = (batch: Int32Array, from: number, count: number): number => this.send(batch, from, count)
    this.transmit = specialise(makeTransmit)(tx.transmit, offloads, ASKED, asked, whole)
    this.room = tx.room
    this.pending = tx.pending
  }

  get packets(): number {
    return this.tx.packets
  }

  get bytes(): number {
    return this.tx.bytes
  }

  /** A batch with packets of which something is asked. */
  private send(batch: Int32Array, from: number, count: number): number {
    const { tx, memory, offloads, does } = this
    const end = from + Math.min(count, tx.room())
    verifyOffloads(memory, offloads, batch, from, end)
    let sent = from
    for (let i = from; i < end; i++) {
      const id = batch[i]
      if (!does.vlan) putTagIn(memory, offloads, id)
      if (offloads.segment[id] === 0 || does.segment) {
        this.finish(id)
        continue
      }
      // In their order: those in front of it first.
      if (sent < i) sent += tx.transmit(batch, sent, i - sent)
      if (sent < i || !this.cut(id)) return sent - from
      sent++
    }
    if (sent < end) sent += tx.transmit(batch, sent, end - sent)
    return sent - from
  }

  /** The checksums that the device doesn't know. */
  private finish(id: number): void {
    const { memory, offloads, does } = this
    if (!does.checksum) closeChecksum(memory, offloads, id)
    if (!does.ipChecksum) closeIpChecksum(memory, offloads, id)
  }

  /** Sends what comes of a large packet and frees it; false, and nothing done, without room or buffers for all of it. */
  private cut(id: number): boolean {
    const { tx, memory, offloads, plan, pieces, one } = this
    const { u8, size } = memory
    const { flags, checksumStart, checksumOffset, segment, headerBytes, vlan } = offloads
    plan.aim(u8, memory.dataOffset(id), size[id], checksumStart[id], headerBytes[id], segment[id])
    const { count } = plan
    if (tx.room() < count || memory.available(offloads.pool) < count) return false
    memory.allocate(offloads.pool, pieces, count)
    for (let k = 0; k < count; k++) {
      const piece = pieces[k]
      size[piece] = plan.write(k, u8, memory.dataOffset(piece))
      // The IPv4 header's is right by now.
      flags[piece] = flags[id] & ~OffloadFlag.IP_OPEN
      checksumStart[piece] = checksumStart[id]
      checksumOffset[piece] = checksumOffset[id]
      vlan[piece] = vlan[id]
      this.finish(piece)
    }
    tx.transmit(pieces, 0, count)
    one[0] = id
    memory.free(one, 0, 1)
    return true
  }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each queue. `work`: flags that are asked for; `send` transmits what has them. */
function makeTransmit(
  transmit: TxQueue['transmit'],
  { flags, segment }: PacketOffloads,
  work: number,
  send: TxQueue['transmit'],
  whole: (n: number) => number,
): TxQueue['transmit'] {
  return (batch, from, count) => {
    let start = from | 0
    if (start !== from) start = whole(from)
    let most = count | 0
    if (most !== count) most = whole(count)
    const held = ((batch.length | 0) - start) | 0
    if (most > held) most = held
    if (start < 0 || most <= 0) return 0
    const end = (start + most) | 0
    let asked = 0
    for (let i = start; i < end; i++) asked |= (flags[batch[i]] & work) | segment[batch[i]]
    return asked === 0 ? transmit(batch, start, most) : send(batch, start, most)
  }
}
