import fc from 'fast-check'
import {
  RX_DD,
  RX_EOP,
  TX_DEXT,
  TX_DTYP_DATA,
  TX_EOP,
  TX_IFCS,
  TX_RS,
  TX_TSTAMP,
} from '../../../src/driver/intel/descriptors.ts'
import { type Startable, makeRings } from '../../../src/driver/intel/queues.ts'
import { StandInCard } from '../../../src/driver/intel/stand-in.ts'
import type { RxQueue, TxQueue } from '../../../src/driver/device.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'

const ENTRIES = 8
/** For what the loops do in groups of four and eight. */
const MANY_ENTRIES = 32
const POOL_SHIFT = 6
const POOL = 1 << POOL_SHIFT

const RING_BYTES = MANY_ENTRIES * 16

/** The card and the TypeScript rings see it at one address, the WebAssembly rings at another. */
const arena = new DmaArena(1 << 20, false)
const rxAddress = arena.take(RING_BYTES).address
const txAddress = arena.take(RING_BYTES).address
const packets = arena.takePackets(11, POOL_SHIFT, 2)
const iovas = { pageIovas: new Float64Array([2 ** 33]), pageBytes: 1 << 20, pageOffset: 0 }

/** The driver's own stand-in for the card, which remembers what it has sent and looks at how. */
class Card {
  /** What has been sent: address as a number and length, in order. */
  readonly sent: { iova: number; length: number }[] = []
  /** What the descriptor of each asked for besides. */
  readonly asked: number[] = []
  private readonly tx: Uint32Array
  private readonly card: StandInCard

  constructor(entries: number) {
    const [rx, tx] = [rxAddress, txAddress].map((address) => viewOf(address, entries * 16))
    this.tx = new Uint32Array(tx)
    this.card = new StandInCard(rx, tx)
  }

  get tails(): Int32Array {
    return this.card.tails
  }

  /** Receives one packet, into the buffer at the address that is returned; null if no descriptor is armed. */
  receive(length: number, status = RX_DD | RX_EOP): number | null {
    return this.card.armed === 0 ? null : this.card.writeBack(length, status)
  }

  /** Sends up to `count` packets. */
  transmit(count: number): void {
    while (count-- > 0 && this.card.waiting > 0) {
      const word = this.card.send()
      const command = this.tx[word + 2]
      const required = TX_DEXT | TX_DTYP_DATA | TX_EOP | TX_IFCS
      expect(command & required).toBe(required)
      expect(this.tx[word + 3] >>> 14).toBe(command & 0xffff)
      this.asked.push(command & (TX_RS | TX_TSTAMP))
      this.sent.push({ iova: this.tx[word] + this.tx[word + 1] * 2 ** 32, length: command & 0xffff })
    }
  }

  armed(): number {
    return this.card.armed
  }
}

function iovaOf(memory: PacketMemory, id: number): number {
  return 2 ** 33 + memory.dataOffset(id)
}

describe.each(['ts', 'wasm'] as const)('%s', (backend) => {
  const space = backend === 'wasm' ? new WasmSpace(arena.file) : null

  function setUp(entries = ENTRIES): {
    memory: PacketMemory
    card: Card
    rx: RxQueue & Startable
    tx: TxQueue & Startable
    batch: Int32Array
  } {
    const memory = new PacketMemory({ ...packets, ...iovas }, space)
    const card = new Card(entries)
    const { rx, tx } = makeRings(memory, 0, { address: rxAddress, entries }, { address: txAddress, entries })
    rx.start(card.tails, 0)
    tx.start(card.tails, 1)
    return { memory, card, rx, tx, batch: memory.batch(32) }
  }

  describe('RxRing', () => {
    test('arms all descriptors but one', () => {
      const { card, memory } = setUp()
      expect(card.armed()).toBe(ENTRIES - 1)
      expect(memory.available(0)).toBe(POOL - ENTRIES)
    })

    test('gives packets in order, with their lengths, from the buffers the card has written to', () => {
      const { card, memory, rx, batch } = setUp()
      const addresses = [60, 1514, 64].map((length) => card.receive(length))
      expect(rx.receive(batch, 32)).toBe(3)
      const ids = [...batch.subarray(0, 3)]
      expect(ids.map((id) => iovaOf(memory, id))).toEqual(addresses)
      expect(ids.map((id) => memory.size[id])).toEqual([60, 1514, 64])
      expect(rx.packets).toBe(3)
      expect(rx.bytes).toBe(60 + 1514 + 64)
      expect(card.armed()).toBe(ENTRIES - 1)
    })

    test('finds nothing in an untouched ring and leaves the tail alone', () => {
      const { card, rx, batch } = setUp()
      expect(rx.receive(batch, 32)).toBe(0)
      expect(card.tails[0]).toBe(ENTRIES - 1)
    })

    test('takes no more than the limit, not even one for a limit of none', () => {
      const { card, rx, batch } = setUp()
      for (let i = 0; i < 5; i++) card.receive(60)
      expect(rx.receive(batch, 0)).toBe(0)
      expect(rx.receive(batch, 2)).toBe(2)
      expect(rx.receive(batch, 32)).toBe(3)
    })

    test('survives a full ring, again and again', () => {
      const { card, memory, rx, batch } = setUp()
      for (let round = 0; round < 20; round++) {
        let delivered = 0
        while (card.receive(100 + round) !== null) delivered++
        expect(delivered).toBe(ENTRIES - 1)
        expect(rx.receive(batch, 32)).toBe(delivered)
        memory.free(batch, 0, delivered)
      }
      expect(memory.available(0)).toBe(POOL - ENTRIES)
    })

    test('drops and counts when the pool is empty, and goes on when it is not', () => {
      const { card, memory, rx, batch } = setUp()
      const kept = new Int32Array(POOL)
      const taken = memory.allocate(0, kept, POOL)
      card.receive(60)
      card.receive(60)
      expect(rx.receive(batch, 32)).toBe(0)
      expect(rx.poolEmpty).toBe(2)
      expect(card.armed()).toBe(ENTRIES - 1)
      memory.free(kept, 0, taken)
      card.receive(60)
      expect(rx.receive(batch, 32)).toBe(1)
      expect(rx.packets).toBe(1)
    })

    test('goes round the end of the ring with drops on the way', () => {
      const { card, memory, rx, batch } = setUp()
      for (let i = 0; i < 5; i++) card.receive(60)
      memory.free(batch, 0, rx.receive(batch, 32))
      const lengths = [100, 0, 101, 0, 0, 102]
      for (const length of lengths) card.receive(length, length === 0 ? RX_DD : RX_DD | RX_EOP)
      expect(rx.receive(batch, 32)).toBe(3)
      expect([...batch.subarray(0, 3)].map((id) => memory.size[id])).toEqual([100, 101, 102])
      expect(rx.fragments).toBe(3)
      expect(card.armed()).toBe(ENTRIES - 1)
    })

    test("takes the caller's own arrays, whether the loops reach them or not", () => {
      const { card, memory, rx, tx } = setUp()
      const own = new Int32Array(6)
      for (let round = 0; round < 5; round++) {
        const addresses = [60, 61, 62].map((length) => card.receive(length))
        expect(rx.receive(own, 2)).toBe(2)
        expect(rx.receive(own.subarray(2), 4)).toBe(1)
        expect([...own.subarray(0, 3)].map((id) => iovaOf(memory, id))).toEqual(addresses)
        expect(tx.transmit(own, 1, 2)).toBe(2)
        expect(tx.transmit(own, 0, 1)).toBe(1)
        card.transmit(3)
        expect(card.sent.splice(0).map(({ length }) => length)).toEqual([61, 62, 60])
      }
      expect(tx.pending()).toBe(0)
    })

    test.each([0, 1537, 2048, 0xffff])(
      'a packet that the card says to have %i bytes is dropped and counted',
      (bad) => {
        const { card, memory, rx, tx, batch } = setUp(MANY_ENTRIES)
        // At each place in a group of four, and between others.
        for (let at = 0; at < 4; at++) {
          const addresses = Array.from({ length: 13 }, (_, i) => card.receive(i === 4 + at ? bad : 60 + i))
          expect(rx.receive(batch, 32)).toBe(12)
          const ids = [...batch.subarray(0, 12)]
          expect(ids.map((id) => iovaOf(memory, id))).toEqual(addresses.filter((_, i) => i !== 4 + at))
          expect(ids.every((id) => memory.size[id] >= 60 && memory.size[id] < 80)).toBe(true)
          expect(tx.transmit(batch, 0, 12)).toBe(12)
          card.transmit(12)
          expect(tx.pending()).toBe(0)
        }
        expect([rx.badLength, rx.packets, rx.fragments]).toEqual([4, 48, 0])
        expect(card.armed()).toBe(MANY_ENTRIES - 1)
        expect(memory.available(0)).toBe(POOL - MANY_ENTRIES)
      },
    )

    test('the longest packet that fits every buffer is taken, and the shortest', () => {
      const { card, memory, rx, batch } = setUp()
      expect(memory.longest).toBe(1536)
      card.receive(1536)
      card.receive(1)
      expect(rx.receive(batch, 32)).toBe(2)
      expect([...batch.subarray(0, 2)].map((id) => memory.size[id])).toEqual([1536, 1])
      for (const id of batch.subarray(0, 2))
        expect(memory.dataOffset(id) + memory.longest).toBeLessThanOrEqual((id + 1) << memory.bufferShift)
      expect(rx.badLength).toBe(0)
    })

    test('drops and counts parts of packets', () => {
      const { card, memory, rx, batch } = setUp()
      card.receive(2048, RX_DD)
      card.receive(60)
      expect(rx.receive(batch, 32)).toBe(1)
      expect(memory.size[batch[0]]).toBe(60)
      expect(rx.fragments).toBe(1)
    })
  })

  describe('TxRing', () => {
    function allocate(memory: PacketMemory, count: number, batch: Int32Array): void {
      expect(memory.allocate(1, batch, count)).toBe(count)
      for (let i = 0; i < count; i++) memory.size[batch[i]] = 60 + i
    }

    test('sends in order, with address and length', () => {
      const { card, memory, tx, batch } = setUp()
      allocate(memory, 3, batch)
      expect(tx.transmit(batch, 0, 3)).toBe(3)
      card.transmit(10)
      expect(card.sent).toEqual(
        [...batch.subarray(0, 3)].map((id, i) => ({ iova: iovaOf(memory, id), length: 60 + i })),
      )
      expect(tx.bytes).toBe(60 + 61 + 62)
    })

    test('takes what there is room for and leaves the rest to the caller', () => {
      const { card, memory, tx, batch } = setUp()
      allocate(memory, 10, batch)
      expect(tx.transmit(batch, 0, 10)).toBe(ENTRIES - 1)
      expect(tx.transmit(batch, 7, 3)).toBe(0)
      card.transmit(ENTRIES)
      expect(tx.transmit(batch, 7, 3)).toBe(3)
      expect(card.tails[1]).toBe(10 % ENTRIES)
    })

    test('frees a batch when its last descriptor is written back, not before', () => {
      const { card, memory, tx, batch } = setUp()
      allocate(memory, 4, batch)
      tx.transmit(batch, 0, 4)
      card.transmit(3)
      expect(tx.pending()).toBe(4)
      expect(memory.available(1)).toBe(POOL - 4)
      card.transmit(1)
      expect(tx.pending()).toBe(0)
      expect(tx.room()).toBe(ENTRIES - 1)
      expect(memory.available(1)).toBe(POOL)
    })

    test('frees packets of several pools, each to its own', () => {
      const { card, memory, tx, batch } = setUp()
      memory.allocate(0, batch, 2)
      memory.allocate(1, batch.subarray(2), 2)
      const [a, b, c, d] = batch
      tx.transmit(Int32Array.of(a, c, b, d), 0, 4)
      card.transmit(4)
      expect(tx.pending()).toBe(0)
      expect(memory.available(0)).toBe(POOL - ENTRIES)
      expect(memory.available(1)).toBe(POOL)
    })

    test('fills up with zeros what is too short for the card, wherever it stands in the batch', () => {
      const short = fc.oneof(fc.nat(20), fc.constantFrom(60, 1514))
      fc.assert(
        fc.property(
          fc.array(fc.array(short, { minLength: 1, maxLength: 20 }), { maxLength: 4 }),
          (batches) => {
            const { card, memory, tx, batch } = setUp(MANY_ENTRIES)
            let bytes = 0
            for (const lengths of batches) {
              expect(memory.allocate(1, batch, lengths.length)).toBe(lengths.length)
              const ids = [...batch.subarray(0, lengths.length)]
              ids.forEach((id, i) => {
                memory.u8.fill(0xee, memory.dataOffset(id), memory.dataOffset(id) + 64)
                memory.size[id] = lengths[i]
              })
              card.sent.length = 0
              expect(tx.transmit(batch, 0, lengths.length)).toBe(lengths.length)
              card.transmit(MANY_ENTRIES)
              const padded = lengths.map((length) => Math.max(17, length))
              expect(card.sent).toEqual(ids.map((id, i) => ({ iova: iovaOf(memory, id), length: padded[i] })))
              ids.forEach((id, i) => {
                const content = memory.u8.subarray(memory.dataOffset(id), memory.dataOffset(id) + 64)
                const kept = lengths[i] < 17 ? lengths[i] : 64
                expect([...content.subarray(0, kept)]).toEqual(Array<number>(kept).fill(0xee))
                if (kept < 17)
                  expect([...content.subarray(kept, 18)]).toEqual([...Array<number>(17 - kept).fill(0), 0xee])
              })
              bytes += padded.reduce((sum, length) => sum + length, 0)
              expect(tx.bytes).toBe(bytes)
              expect(tx.pending()).toBe(0)
            }
          },
        ),
      )
    })

    test('asks for a stamp of one packet, and of none before or behind it', () => {
      const { card, memory, tx, batch } = setUp()
      allocate(memory, 5, batch)
      expect(tx.transmit(batch, 0, 2)).toBe(2)
      expect(tx.transmitStamped?.(batch, 2)).toBe(1)
      expect(tx.transmit(batch, 3, 2)).toBe(2)
      card.transmit(10)
      expect(card.asked).toEqual([0, TX_RS, TX_RS | TX_TSTAMP, 0, TX_RS])
      expect(card.sent.map(({ length }) => length)).toEqual([60, 61, 62, 63, 64])
      expect([tx.packets, tx.bytes, tx.pending()]).toEqual([5, 310, 0])
      expect([tx.transmitStamped?.(batch, 32), tx.transmitStamped?.(batch, -1)]).toEqual([0, 0])
      for (let i = 0; i < ENTRIES - 1; i++) expect(tx.transmitStamped?.(batch, 0)).toBe(1)
      expect(tx.transmitStamped?.(batch, 0)).toBe(0)
    })

    test('transmits nothing when there is nothing to transmit', () => {
      const { card, tx, batch } = setUp()
      expect(tx.transmit(batch, 0, 0)).toBe(0)
      expect(card.tails[1]).toBe(0)
    })
  })

  test('a forwarder over both rings loses, duplicates and reorders nothing, whatever the card does', () => {
    const step = fc.record({
      receive: fc.nat(MANY_ENTRIES),
      /** Which of the received buffers is only a part of a packet, if so many come. */
      part: fc.nat(MANY_ENTRIES * 2),
      take: fc.nat(40),
      /** Packets of the other pool that are sent with them, and how many received ones come before them. */
      own: fc.nat(3),
      before: fc.nat(MANY_ENTRIES),
      /** Free buffers that the app holds back from now on: the ring may find the pool empty. */
      keep: fc.constantFrom(0, 0, 0, POOL - MANY_ENTRIES - 6, POOL),
      transmit: fc.nat(MANY_ENTRIES),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { memory, card, rx, tx } = setUp(MANY_ENTRIES)
        const batch = memory.batch(MANY_ENTRIES + 3)
        const kept = new Int32Array(POOL)
        const own = new Int32Array(3)
        /** Received and not yet taken out; null: a part of a packet. */
        const inRing: ({ iova: number; length: number } | 'lie' | null)[] = []
        const expected: { iova: number; length: number }[] = []
        let length = 60
        let [parts, lies, dropped, received] = [0, 0, 0, 0]
        const takeOut = (limit: number): number => {
          let free = memory.available(0)
          const looked = inRing.splice(0, limit)
          const taken: typeof expected = []
          for (const packet of looked) {
            if (packet === null) parts++
            else if (packet === 'lie') lies++
            else if (free === 0) dropped++
            else {
              free--
              taken.push(packet)
            }
          }
          const count = rx.receive(batch, limit)
          expect([...batch.subarray(0, count)].map((id) => iovaOf(memory, id))).toEqual(
            taken.map(({ iova }) => iova),
          )
          expect(card.armed()).toBe(MANY_ENTRIES - 1 - inRing.length)
          expected.push(...taken)
          received += count
          return count
        }
        for (const { receive, part, take, own: extra, before, keep, transmit } of steps) {
          for (let i = 0; i < receive; i++) {
            const lie = i === part + 1
            const iova = card.receive(lie ? 0xffff : length, i === part ? RX_DD : RX_DD | RX_EOP)
            if (iova === null) continue
            inRing.push(i === part ? null : lie ? 'lie' : { iova, length: length++ })
          }
          const held = memory.allocate(0, kept, keep)
          let count = takeOut(Math.min(take, Math.max(0, tx.room() - 3)))
          memory.free(kept, 0, held)
          const added = count > 0 ? memory.allocate(1, own, extra) : 0
          if (added > 0) {
            const at = Math.min(before, count)
            batch.copyWithin(at + added, at, count)
            batch.set(own.subarray(0, added), at)
            for (const id of own.subarray(0, added)) memory.size[id] = length++
            const sent = [...own.subarray(0, added)].map((id) => ({
              iova: iovaOf(memory, id),
              length: memory.size[id],
            }))
            expected.splice(expected.length - count + at, 0, ...sent)
            count += added
          }
          expect(tx.transmit(batch, 0, count)).toBe(count)
          card.transmit(transmit)
        }
        // Let everything come out.
        for (let i = 0; i < 4; i++) {
          tx.transmit(batch, 0, takeOut(Math.min(32, tx.room())))
          card.transmit(MANY_ENTRIES)
        }
        expect(card.sent).toEqual(expected)
        expect(tx.pending()).toBe(0)
        expect([memory.available(0), memory.available(1)]).toEqual([POOL - MANY_ENTRIES, POOL])
        expect([rx.packets, rx.fragments, rx.poolEmpty]).toEqual([received, parts, dropped])
        expect(rx.badLength).toBe(lies)
        const all = new Set(memory.freeStack.subarray(0, POOL - MANY_ENTRIES))
        expect(all.size).toBe(POOL - MANY_ENTRIES)
        expect(tx.bytes).toBe(expected.reduce((sum, packet) => sum + packet.length, 0))
      }),
    )
  })

  test('start() begins anew on the same rings, wherever they were', () => {
    const { memory, card, rx, tx, batch } = setUp()
    for (let i = 0; i < 3; i++) card.receive(60)
    tx.transmit(batch, 0, rx.receive(batch, 2))

    const tails = new Int32Array(4)
    memory.reset()
    rx.start(tails, 2)
    tx.start(tails, 3)
    expect([...tails]).toEqual([0, 0, ENTRIES - 1, 0])
    expect(rx.packets + rx.bytes + tx.packets + tx.bytes).toBe(0)
    expect(tx.pending()).toBe(0)
    expect(rx.receive(batch, 32)).toBe(0)
    expect(memory.available(0)).toBe(POOL - ENTRIES)
  })
})
