import fc from 'fast-check'
import { checkedTx } from '../../src/driver/checked-queues.ts'
import type { QueuePair } from '../../src/driver/queues.ts'
import { withSoftwareOffloads } from '../../src/driver/software-offloads.ts'
import { Ledger } from '../../src/memory/checked/ledger.ts'
import { checkedMemory } from '../../src/memory/checked/memory.ts'
import { Places } from '../../src/memory/checked/places.ts'
import type { DeviceOffloads, OffloadUse, PacketOffloads } from '../../src/memory/offloads.ts'
import { OffloadFlag } from '../../src/memory/offloads.ts'
import { PacketMemory, packetMemoryBytes } from '../../src/memory/packets.ts'
import { FakePort } from '../examples/fake-ports.ts'
import { type Large, build, large } from '../packet/large-packets.ts'
import { type Asked, ask, hex, tagged, wanted } from './asking.ts'

const BUFFER_SHIFT = 14
const POOL_SHIFT = 7
const CUT_POOL = 1
const { CHECKSUM_OPEN, CHECKSUM_GOOD, IP_OPEN, VLAN } = OffloadFlag

/** Queues of a device that does nothing itself, or what `does` says. */
class Bench {
  readonly memory: PacketMemory
  readonly offloads: PacketOffloads
  readonly port: FakePort
  readonly pair: QueuePair
  readonly batch = new Int32Array(64)

  constructor(use: OffloadUse = 'uses', does?: DeviceOffloads) {
    const bytes = packetMemoryBytes(BUFFER_SHIFT, POOL_SHIFT, 2)
    const pages = { address: 0n, pageIovas: new Float64Array(1), pageBytes: 2 ** 30, pageOffset: 0 }
    const offloads = { use, pool: use === 'uses' ? CUT_POOL : -1 }
    const shape = { bufferShift: BUFFER_SHIFT, poolShift: POOL_SHIFT, pools: 2 }
    this.memory = new PacketMemory({ ...pages, ...shape, offloads }, new ArrayBuffer(bytes))
    if (this.memory.offloads === null) throw new Error('no offloads')
    this.offloads = this.memory.offloads
    this.port = new FakePort(this.memory, 0)
    const { rx, tx } = this.port
    const pair = {
      ...{ rx, tx, headerBytes: 0, start: () => undefined },
      rehearse: () => ({ transmit: () => undefined, receive: () => undefined }),
    }
    this.pair = withSoftwareOffloads(pair, this.memory, does)
  }

  /** A packet of the app's. */
  take(packet: Large, vlan: number | null = null, cut = true): number {
    return ask(this.memory, 0, { packet, vlan, cut })
  }

  get free(): number[] {
    return [this.memory.available(0), this.memory.available(1)]
  }
}

const bench = new Bench()
const one: fc.Arbitrary<Asked> = fc.record({
  packet: large(3000),
  vlan: fc.option(fc.nat(0xffff)),
  cut: fc.boolean(),
  ip: fc.boolean(),
})
const example: Large = {
  ...{ v6: false, udp: false, tag: null, ipOptions: 0, tcpOptions: 3, extended: false },
  ...{ identification: 1, sequence: 2, flags: 0x18, payload: new Uint8Array(3000), segment: 1000 },
}

const packets = fc.array(one, { minLength: 1, maxLength: 8 })

test('whatever is asked, what leaves is what is built by hand, in order, and all buffers come back', () => {
  fc.assert(
    fc.property(packets, fc.integer({ min: 12, max: 40 }), (list, roomPerStep) => {
      const { batch, port, pair } = bench
      list.forEach((one, i) => (batch[i] = ask(bench.memory, 0, one)))
      port.roomPerStep = roomPerStep
      for (let sent = 0, steps = 0; sent < list.length; steps++) {
        port.nextStep()
        sent += pair.tx.transmit(batch, sent, list.length - sent)
        expect(steps).toBeLessThan(20)
      }
      expect(hex(port.sent.splice(0))).toEqual(hex(list.flatMap(wanted)))
      expect(bench.free).toEqual([128, 128])
    }),
    { numRuns: 200 },
  )
})

test('with --check, the books agree with it', () => {
  const { memory: buffers, pair, port, batch } = new Bench()
  const ledger = new Ledger(buffers, [], new Places(() => true))
  ledger.poison()
  ledger.open()
  const memory = checkedMemory(ledger)
  const tx = checkedTx(pair.tx, ledger)
  port.roomPerStep = 14
  const list: Asked[] = fc.sample(one, 300)
  for (let at = 0; at < list.length;) {
    const some = list.slice(at, at + 6)
    some.forEach((each, i) => (batch[i] = ask(memory, 0, each)))
    for (let sent = 0; sent < some.length;) {
      port.nextStep()
      sent += tx.transmit(batch, sent, some.length - sent)
    }
    at += some.length
  }
  tx.pending()
  ledger.close()
  expect(hex(port.sent)).toEqual(hex(list.flatMap(wanted)))
  // What can't be done is found before.
  const bad: Asked = { packet: example, vlan: null, cut: true }
  batch[0] = ask(memory, 0, bad)
  buffers.offloads?.headerBytes.fill(0)
  expect(() => tx.transmit(batch, 0, 1)).toThrow(
    /wrong-offload: packet \d+, use \d+: transmit: it has a segment, but/,
  )
})

test('without room or buffers for all segments of a packet it waits, and what follows it, too', () => {
  const { port, pair, batch, memory, offloads } = bench
  const fill = (): void => {
    for (let i = 0; i < 3; i++) batch[i] = bench.take(example, null, i === 1)
  }
  fill()
  port.roomPerStep = 3
  port.nextStep()
  expect(pair.tx.transmit(batch, 0, 3)).toBe(1)
  port.nextStep()
  expect(pair.tx.transmit(batch, 1, 2)).toBe(1)
  port.nextStep()
  expect(pair.tx.transmit(batch, 2, 1)).toBe(1)
  fill()
  const others = new Int32Array(126)
  memory.allocate(CUT_POOL, others, 126)
  port.roomPerStep = 64
  port.nextStep()
  expect(pair.tx.transmit(batch, 0, 3)).toBe(1)
  memory.free(others, 0, 126)
  expect(pair.tx.transmit(batch, 1, 2)).toBe(2)
  expect(offloads.pool).toBe(CUT_POOL)
  expect(port.sent.splice(0)).toHaveLength(10)
  expect(bench.free).toEqual([128, 128])
})

test('allocate gives buffers without offloads, whatever they had before', () => {
  const { memory, batch } = bench
  batch[0] = bench.take(example, 5)
  memory.free(batch, 0, 1)
  batch[0] = bench.take(example, 5)
  memory.free(batch, 0, 1)
})

describe('what can not be done is refused, and nothing is sent', () => {
  const impossible: readonly [string, (offloads: PacketOffloads, id: number) => void, string][] = [
    [
      'a checksum behind the end',
      ({ checksumOffset }, id) => (checksumOffset[id] = 3031),
      'is said to be at',
    ],
    ['a sum from Ethernet on', ({ checksumStart }, id) => (checksumStart[id] = 12), 'summed from byte 12 on'],
    ['a segment without an open checksum', ({ flags }, id) => (flags[id] = 0), 'no open checksum of TCP'],
    ['a segment without headers', ({ headerBytes }, id) => (headerBytes[id] = 0), 'no IP packet with TCP'],
    [
      'a header too long',
      ({ headerBytes }, id) => (headerBytes[id] = 14 + 20 + 61),
      'a TCP header of 61 bytes',
    ],
    ['segments too many', ({ segment }, id) => (segment[id] = 47), 'are 64 packets, 63 at most'],
  ]
  test.each(impossible)('%s', (_, spoil, message) => {
    const { batch, memory, offloads, pair, port } = bench
    port.roomPerStep = 64
    port.nextStep()
    batch[0] = bench.take(example, null)
    batch[1] = bench.take(example, null)
    spoil(offloads, batch[1])
    expect(() => pair.tx.transmit(batch, 0, 2)).toThrow(message)
    expect(port.sent).toEqual([])
    memory.free(batch, 0, 2)
  })

  test('an IPv4 checksum without IPv4, a tag without room', () => {
    const { batch, memory, offloads, pair } = bench
    const id = bench.take({ ...example, v6: true }, null, false)
    batch[0] = id
    offloads.flags[id] |= IP_OPEN
    expect(() => pair.tx.transmit(batch, 0, 1)).toThrow('there is no IPv4 header')
    offloads.flags[id] = VLAN
    memory.size[id] = memory.longest - 3
    expect(() => pair.tx.transmit(batch, 0, 1)).toThrow('a VLAN tag is to be put into a packet')
    memory.free(batch, 0, 1)
  })

  test('ids that are none, lengths that can not be', () => {
    const { batch, memory, pair } = bench
    batch[0] = bench.take(example, null)
    batch[1] = 256
    expect(() => pair.tx.transmit(batch, 0, 2)).toThrow('transmit: 256 is no packet')
    memory.size[batch[0]] = memory.longest + 1
    expect(() => pair.tx.transmit(batch, 0, 1)).toThrow('its buffer holds')
    memory.size[batch[0]] = 60
    memory.free(batch, 0, 1)
  })

  test('a segment, of an app that only understands offloads', () => {
    const modest = new Bench('understands')
    modest.batch[0] = modest.take(example)
    expect(() => modest.pair.tx.transmit(modest.batch, 0, 1)).toThrow("apps whose offloads are 'uses'")
  })
})

test('receive clears flags, and takes the tag out for an app that uses offloads', () => {
  const frame = build({ ...example, tag: 0xa123, payload: new Uint8Array(100).fill(7) }, false).frame
  const plain = build({ ...example, payload: new Uint8Array(100).fill(7) }, false).frame
  const doubly = tagged(frame, 0x0042)
  for (const use of ['uses', 'understands'] as const) {
    const { port, pair, batch, memory, offloads } = new Bench(use)
    offloads.flags.fill(0xff)
    offloads.segment.fill(9)
    port.incoming.push(frame, plain, doubly)
    expect(pair.rx.receive(batch, 8)).toBe(3)
    const ids = [...batch.subarray(0, 3)]
    const tag = use === 'uses' ? VLAN : 0
    expect(ids.map((id) => offloads.flags[id])).toEqual([tag, 0, tag])
    expect(ids.map((id) => offloads.segment[id])).toEqual([0, 0, 0])
    const bytes = ids.map((id) =>
      memory.u8.slice(memory.dataOffset(id), memory.dataOffset(id) + memory.size[id]),
    )
    if (use === 'uses') {
      expect([offloads.vlan[ids[0]], offloads.vlan[ids[2]]]).toEqual([0xa123, 0x0042])
      expect(hex(bytes)).toEqual(hex([plain, plain, frame]))
    } else expect(hex(bytes)).toEqual(hex([frame, plain, doubly]))
    // And back, as they were.
    expect(pair.tx.transmit(batch, 0, 3)).toBe(3)
    expect(hex(port.sent)).toEqual(hex([frame, plain, doubly]))
  }
})

test('what a device does itself is left to it', () => {
  const all = { receive: true, checksum: true, ipChecksum: true, segment: true, vlan: true }
  const { pair, port } = new Bench('uses', all)
  expect([pair.rx, pair.tx]).toEqual([port.rx, port.tx])
  const modest = new Bench('understands', { ...all, ipChecksum: false, segment: false, vlan: false })
  expect([modest.pair.rx, modest.pair.tx]).toEqual([modest.port.rx, modest.port.tx])
  // All but tags: the checksum moves, and is still open.
  const most = new Bench('uses', { ...all, vlan: false })
  const { batch, offloads, memory } = most
  const id = (batch[0] = most.take(example, 0x0123))
  offloads.flags[id] |= CHECKSUM_GOOD
  let flags = 0
  const places: number[] = []
  const port2 = most.port
  port2.sent.push = (...frames) => {
    flags = offloads.flags[id]
    places.push(offloads.checksumStart[id], offloads.headerBytes[id], offloads.segment[id], memory.size[id])
    return frames.length
  }
  expect(most.pair.tx.transmit(batch, 0, 1)).toBe(1)
  expect(flags & (CHECKSUM_OPEN | VLAN)).toBe(CHECKSUM_OPEN)
  expect(places).toEqual([14 + 4 + 20, 14 + 4 + 20 + 32, 1000, 14 + 4 + 20 + 32 + 3000])
})
