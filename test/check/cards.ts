/** The pretended cards of rig.ts, and the rings that go with them. */
import type { RxQueue, TxQueue } from '../../src/driver/device.ts'
import { RX_DD, RX_EOP } from '../../src/driver/intel/descriptors.ts'
import { makeRings } from '../../src/driver/intel/queues.ts'
import { StandInCard } from '../../src/driver/intel/stand-in.ts'
import { COUNTERS } from '../../src/driver/virtio/counters.ts'
import { takeQueue } from '../../src/driver/virtio/queue-memory.ts'
import type { QueueShape } from '../../src/driver/virtio/queue-spec.ts'
import { virtioQueues } from '../../src/driver/virtio/queues.ts'
import { PAGE_BYTES, mmap, viewOf } from '../../src/linux/mapping.ts'
import type { DmaArena } from '../../src/memory/arena.ts'
import type { PacketMemory } from '../../src/memory/packets.ts'
import { Breaches } from '../driver/virtio/model/breaches.ts'
import { type Chain, PackedDeviceQueue, SplitDeviceQueue } from '../driver/virtio/model/device-queue.ts'
import { HostMemory } from '../driver/virtio/model/host-memory.ts'

export const ENTRIES = 64
const RING_BYTES = ENTRIES * 16

export interface Card {
  /** A packet of `bytes` comes in, or a part of one, or one whose length can't be; where there is a buffer for it. */
  receive(bytes: Uint8Array, how: 'whole' | 'part' | 'impossible'): void
  /** One packet is sent, if there is one. */
  send(): void
}

export interface Port {
  readonly rx: RxQueue
  readonly tx: TxQueue
  readonly headerBytes: number
  /** Begins anew. */
  start(): Card
}

/** Takes what it needs of the arena; `attach` makes it usable, with the pool of that number, once there is a memory. */
export type PortMaker = (arena: DmaArena) => (memory: PacketMemory, pool: number) => Port

/** Where the packet at an address is in `memory.u8`: pages lie one behind the other here. */
function finder(memory: PacketMemory): (address: number) => number {
  const [low, high] = new Uint32Array(memory.iova.buffer, memory.iova.byteOffset, 2)
  return (address) => address - (low + high * 2 ** 32) + memory.dataOffset(0)
}

export const intelPort: PortMaker = (arena) => {
  const [rx, tx] = [arena.take(RING_BYTES), arena.take(RING_BYTES)]
  return (memory, pool) => {
    const place = ({ address }: { address: bigint }) => ({ address, entries: ENTRIES })
    const rings = makeRings(memory, pool, place(rx), place(tx))
    const find = finder(memory)
    const start = (): Card => {
      const card = new StandInCard(viewOf(rx.address, RING_BYTES), viewOf(tx.address, RING_BYTES))
      rings.rx.start(card.tails, 0)
      rings.tx.start(card.tails, 1)
      return {
        receive(bytes, how) {
          if (card.armed === 0) return
          const length = how === 'impossible' ? 0xffff : bytes.length
          const address = card.writeBack(length, how === 'part' ? RX_DD : RX_DD | RX_EOP)
          // The card writes the FCS as well.
          const data = find(address)
          memory.u8.set(bytes, data)
          memory.u8.fill(bytes[0], data + bytes.length, data + bytes.length + 4)
        },
        send() {
          if (card.waiting > 0) card.send()
        },
      }
    }
    return { ...rings, headerBytes: 0, start }
  }
}

/** Packets in mergeable buffers. */
export const virtioPort =
  (packed: boolean): PortMaker =>
  (arena) => {
    const shape: QueueShape = {
      packed,
      headerBytes: 12,
      headerAlone: false,
      mergeable: true,
      eventIndex: false,
    }
    const [rx, tx] = [0, 1].map((queue) => ({ queue, ...takeQueue(arena, ENTRIES, packed) }))
    const counters = arena.take(COUNTERS * 8).address
    const page = mmap(PAGE_BYTES)
    const spec = ({ queue, block }: typeof rx) => ({
      address: block.address,
      entries: ENTRIES,
      slots: ENTRIES,
      queue,
      doorbell: { kind: 'memory', page, offset: 4 * queue } as const,
    })
    const breaches = new Breaches()
    const host = new HostMemory(breaches)
    for (const segment of arena.segments) host.map(segment)
    return (memory, pool) => {
      const pair = virtioQueues.attach(
        { driver: 'virtio', interrupt: null, shape, rx: spec(rx), tx: spec(tx), counters },
        memory,
        pool,
      )
      const find = finder(memory)
      const start = (): Card => {
        pair.start()
        const Queue = packed ? PackedDeviceQueue : SplitDeviceQueue
        const [incoming, outgoing] = [rx, tx].map(
          ({ addresses }) => new Queue(host, breaches, ENTRIES, addresses, false),
        )
        const give = (chain: Chain, bytes: Uint8Array, length: number, parts: number): void => {
          const header = find(chain.parts[0].address)
          memory.u8.fill(0, header, header + 12)
          memory.u8[header + 10] = parts
          memory.u8.set(bytes, header + 12)
          incoming.use(chain, 12 + length)
        }
        return {
          receive(bytes, how) {
            const chain = incoming.take()
            if (chain === null) return
            const more = how === 'part' ? incoming.take() : null
            give(chain, bytes, how === 'impossible' ? 0xffff : bytes.length, more === null ? 1 : 2)
            if (more !== null) give(more, bytes, bytes.length, 1)
          },
          send() {
            const chain = outgoing.take()
            if (chain !== null) outgoing.use(chain, 0)
          },
        }
      }
      return { rx: pair.rx, tx: pair.tx, headerBytes: pair.headerBytes, start }
    }
  }
