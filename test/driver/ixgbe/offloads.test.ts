/** The driver's rings with offloads against the virtual 82599 in its strict mode, byte for byte, and against tshark. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { CaptureFile } from '../../../src/captures/files.ts'
import { IxgbeDevice } from '../../../src/driver/ixgbe/device.ts'
import { ixgbe } from '../../../src/driver/ixgbe/driver.ts'
import { type DataPort, attachPort } from '../../../src/engine/data-plane.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { OffloadFlag, type OffloadUse, type PacketOffloads } from '../../../src/memory/offloads.ts'
import { PacketMemory, bufferShiftFor, packetMemoryBytes } from '../../../src/memory/packets.ts'
import { type Large, build, large } from '../../packet/large-packets.ts'
import { describeIf, missing } from '../../skip.ts'
import { TestWire } from '../../vnic/model/host.ts'
import { type Asked, ask, hex, tagged, wanted } from '../asking.ts'
import { ModelTransport } from './model-transport.ts'

const POOL_SHIFT = 8
const RING = 64
const MTU = 9000
const { CHECKSUM_BAD, CHECKSUM_GOOD, CHECKSUM_OPEN, VLAN } = OffloadFlag

class Bench {
  readonly wire = new TestWire()
  readonly transport = new ModelTransport(this.wire)
  readonly memory: PacketMemory
  readonly offloads: PacketOffloads
  readonly port: DataPort
  readonly batch = new Int32Array(RING)
  private readonly device: IxgbeDevice
  private readonly arena: DmaArena
  private now = 1000

  constructor(use: OffloadUse = 'uses') {
    const bufferShift = bufferShiftFor(18 + MTU)
    const size = { queues: 1, ringSize: RING }
    const bytes = packetMemoryBytes(bufferShift, POOL_SHIFT, 2) + ixgbe.dmaBytes(size, this.transport)
    this.arena = new DmaArena(bytes + (2 << bufferShift), false)
    for (const segment of this.arena.segments) this.transport.mapDma(segment)
    const spec = this.arena.takePackets(bufferShift, POOL_SHIFT, 2)
    this.device = new IxgbeDevice(this.transport, this.arena, {
      ...{ ...size, bufferShift, maxFrame: 18 + MTU, interrupts: false, offloads: use },
      model: { model: 'virtual', family: '82599' },
      warn: () => undefined,
    })
    this.memory = new PacketMemory({ ...spec, offloads: { use, pool: 1 } })
    if (this.memory.offloads === null) throw new Error('no offloads')
    this.offloads = this.memory.offloads
    this.port = attachPort(this.device.queues[0], this.memory, 0)
    for (let i = 0; i < 1000 && !this.device.link().up; i++) this.poll()
    this.device.start()
  }

  poll(): void {
    this.transport.model.poll((this.now += 1))
  }

  /** Sends them in batches of as many as there is room for; returns what has left. */
  send(list: readonly Asked[], polls = 1): Uint8Array[] {
    const { tx } = this.port
    for (let at = 0, rounds = 0; at < list.length; rounds++) {
      const some = list.slice(at, at + 40)
      some.forEach((one, i) => (this.batch[i] = ask(this.memory, 1, one)))
      for (let sent = 0; sent < some.length;) {
        sent += tx.transmit(this.batch, sent, some.length - sent)
        if (rounds % 2 === 0) for (let i = 0; i < polls; i++) this.poll()
        else if (sent < some.length) this.poll()
      }
      at += some.length
    }
    for (let i = 0; i < 100 && tx.pending() > 0; i++) this.poll()
    expect(tx.pending()).toBe(0)
    return this.wire.sent.splice(0)
  }

  breaches(): string[] {
    return this.transport.model.strict.breaches().map(({ rule }) => rule)
  }

  release(): void {
    this.device.close()
    this.transport.release()
    this.arena.close()
  }
}

let bench: Bench
beforeAll(() => (bench = new Bench()))
afterAll(() => bench.release())
afterEach(() => {
  expect(bench.breaches()).toEqual([])
  expect(bench.memory.available(1)).toBe(1 << POOL_SHIFT)
})

const asked: fc.Arbitrary<Asked> = fc.record({
  packet: large(9500),
  vlan: fc.option(fc.nat(0xffff)),
  cut: fc.boolean(),
  ip: fc.boolean(),
})

/** Segments that fit a frame, and packets that do if they aren't cut. */
function fitting(list: readonly Asked[]): Asked[] {
  return list.map(({ packet, vlan, cut, ...rest }) => {
    const payload = cut && !packet.udp ? packet.payload : packet.payload.subarray(0, 8800)
    const segment = Math.max(packet.segment, Math.ceil(payload.length / 12))
    return { ...rest, vlan, cut, packet: { ...packet, payload, segment: Math.min(segment, 8800) } }
  })
}

/** One in three comes three times. */
function repeated(one: Asked, i: number): Asked[] {
  return i % 3 === 0 ? [one, one, one] : [one]
}

/** The MAC fills up short frames. */
function padded(frame: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.max(60, frame.length))
  whole.set(frame)
  return whole
}

test('what the card sends is byte for byte what is built by hand', () => {
  fc.assert(
    fc.property(
      fc.array(asked, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 2 }),
      (list, polls) => {
        // The same again: what is asked of one is asked of the next.
        const given = fitting(list).flatMap(repeated)
        const { tx } = bench.port
        const before = [tx.packets, tx.bytes]
        const sent = bench.send(given, polls)
        const frames = given.flatMap(wanted)
        expect(tx.packets - before[0]).toBe(frames.length)
        expect(tx.bytes - before[1]).toBe(frames.reduce((sum, { length }) => sum + length, 0))
        const all = frames.map(padded)
        expect(sent.length).toBe(all.length)
        const wrong = sent.findIndex((frame, i) => Buffer.compare(frame, all[i]) !== 0)
        expect(hex(wrong < 0 ? [] : [sent[wrong]])).toEqual(hex(wrong < 0 ? [] : [all[wrong]]))
      },
    ),
    { numRuns: 150 },
  )
})

const example: Large = {
  ...{ v6: false, udp: false, tag: null, ipOptions: 0, tcpOptions: 3, extended: false },
  ...{ identification: 1, sequence: 2, flags: 0x18, payload: new Uint8Array(3000), segment: 1000 },
}

test('a context stays as long as nothing changes, and there are two; without room for one software does the work', () => {
  const { port, batch, memory, transport } = bench
  const { tx } = port
  const udp = { ...example, udp: true, payload: new Uint8Array(100) }
  const take = (packets: readonly Large[], cut = false): number[] =>
    packets.map((packet, i) => (batch[i] = ask(memory, 1, { packet, vlan: null, cut })))
  bench.poll()
  tx.pending()
  const tail = (): number => transport.bar0.read32(0x6018)
  let before = tail()
  take([example, udp, example, udp, udp, example])
  expect(tx.transmit(batch, 0, 6)).toBe(6)
  // Two contexts at most: the card may have had one of them.
  const used = (tail() - before + RING) % RING
  expect(used).toBeGreaterThanOrEqual(6)
  expect(used).toBeLessThanOrEqual(8)
  expect(tx.pending()).toBe(6)
  bench.poll()
  expect(tx.pending()).toBe(0)
  before = tail()
  take([example, udp, example])
  expect(tx.transmit(batch, 0, 3)).toBe(3)
  expect(tail()).toBe((before + 3) % RING)
  bench.poll()

  // A full ring, each of another kind than the last two.
  const many = Array.from({ length: RING - 1 }, (_, i) => ({ ...udp, ipOptions: i % 11 }))
  take(many)
  expect(tx.room()).toBe(RING - 1)
  expect(tx.transmit(batch, 0, RING - 1)).toBe(RING - 1)
  expect(tx.room()).toBe(0)
  bench.wire.sent.length = 0
  for (let i = 0; i < 10; i++) bench.poll()
  expect(tx.pending()).toBe(0)
  expect(hex(bench.wire.sent.splice(0))).toEqual(
    hex(many.flatMap((packet) => wanted({ packet, vlan: null, cut: false }))),
  )
  // What is to be cut waits for a context's descriptor.
  take([...many.slice(1), example], true)
  expect(tx.transmit(batch, 0, RING - 1)).toBe(RING - 2)
  for (let i = 0; i < 10; i++) bench.poll()
  expect(tx.transmit(batch, RING - 2, 1)).toBe(1)
  for (let i = 0; i < 10; i++) bench.poll()
  expect(tx.pending()).toBe(0)
  expect(bench.wire.sent.splice(0)).toHaveLength(RING - 2 + 3)
})

test('checksums that the card does not know are completed without it', () => {
  const { memory, offloads, batch, port } = bench
  const { frame, checksumStart } = build({ ...example, payload: new Uint8Array(100).fill(9) }, false)
  const one = new Int32Array(1)
  // A field that is neither TCP's nor UDP's, and an inner header that IPLEN doesn't reach.
  for (const [start, offset, length] of [
    [checksumStart, 20, frame.length],
    [14 + 600, 6, 1000],
  ]) {
    memory.allocate(1, one, 1)
    const [id] = one
    const bytes = new Uint8Array(length)
    bytes.set(frame)
    // The sum of a pseudo header of nothing.
    bytes.fill(0, start + offset, start + offset + 2)
    memory.u8.set(bytes, memory.dataOffset(id))
    memory.size[id] = length
    offloads.flags[id] = CHECKSUM_OPEN
    offloads.checksumStart[id] = start
    offloads.checksumOffset[id] = offset
    batch[0] = id
    expect(port.tx.transmit(batch, 0, 1)).toBe(1)
    for (let i = 0; i < 3; i++) bench.poll()
    const [sent] = bench.wire.sent.splice(0)
    let sum = 0
    for (let i = start; i < length; i += 2) sum += (sent[i] << 8) | (sent[i + 1] ?? 0)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    expect(sum).toBe(0xffff)
  }
  expect(port.tx.pending()).toBe(0)
})

test('what can not be done is refused, and nothing of the batch is sent', () => {
  const { memory, offloads, batch, port } = bench
  batch[0] = ask(memory, 1, { packet: example, vlan: null, cut: true })
  batch[1] = ask(memory, 1, { packet: example, vlan: null, cut: true })
  offloads.headerBytes[batch[1]] = 20
  expect(() => port.tx.transmit(batch, 0, 2)).toThrow('no IP packet with TCP')
  offloads.segment[batch[1]] = 0
  offloads.checksumStart[batch[1]] = 4000
  expect(() => port.tx.transmit(batch, 0, 2)).toThrow('is said to be at byte 4016')
  bench.poll()
  expect(bench.wire.sent).toEqual([])
  memory.free(batch, 0, 2)
})

/** A frame that comes in, and what is to be known of it. */
interface Arrival {
  readonly frame: Uint8Array
  readonly flags: number
}

const arrival: fc.Arbitrary<Arrival> = fc
  .tuple(large(1400), fc.constantFrom('good', 'payload', 'ip', 'none', 'other'))
  .map(([packet, damage]) => {
    const { frame, checksumStart } = build(packet, false)
    const l3 = packet.tag === null ? 14 : 18
    const tag = packet.tag === null ? 0 : VLAN
    if (damage === 'payload') {
      frame[frame.length - 1] ^= 0x10
      // Nothing is said of UDP that looks wrong.
      return { frame, flags: tag | (packet.udp ? 0 : CHECKSUM_BAD) }
    }
    if (damage === 'ip' && !packet.v6) {
      frame[l3 + 10] ^= 1
      return { frame, flags: tag | CHECKSUM_BAD }
    }
    if (damage === 'none' && packet.udp && !packet.v6) {
      frame.fill(0, checksumStart + 6, checksumStart + 8)
      return { frame, flags: tag }
    }
    if (damage === 'other') {
      frame.fill(0x08, l3 - 2, l3 - 1)
      frame.fill(0x06, l3 - 1, l3)
      return { frame, flags: tag }
    }
    return { frame, flags: tag | CHECKSUM_GOOD }
  })

test('what comes in has the verdict that it deserves, and its tag beside it', () => {
  fc.assert(
    fc.property(fc.array(arrival, { minLength: 1, maxLength: 40 }), (list) => {
      const { wire, port, batch, memory, offloads } = bench
      const frames = list.map(({ frame, flags }) => ({ frame: padded(frame), flags }))
      wire.waiting.push(...frames.map(({ frame }) => frame))
      const seen: unknown[] = []
      const before = port.rx.bytes
      for (let i = 0; i < 10 && seen.length < list.length; i++) {
        bench.poll()
        const count = port.rx.receive(batch, RING)
        for (const id of batch.subarray(0, count)) {
          const at = memory.dataOffset(id)
          const bytes = memory.u8.slice(at, at + memory.size[id])
          const whole = (offloads.flags[id] & VLAN) !== 0 ? tagged(bytes, offloads.vlan[id]) : bytes
          seen.push([Buffer.from(whole).toString('hex'), offloads.flags[id], offloads.segment[id]])
          offloads.segment[id] = 7
          offloads.flags[id] = 0xff
        }
        memory.free(batch, 0, count)
      }
      expect(port.rx.bytes - before).toBe(frames.reduce((sum, { frame }) => sum + frame.length, 0))
      expect(seen).toEqual(frames.map(({ frame, flags }) => [Buffer.from(frame).toString('hex'), flags, 0]))
    }),
    { numRuns: 100 },
  )
})

test('what comes while the pool is empty is dropped and counted', () => {
  const { memory, wire, port, batch } = bench
  const { rx } = port
  const before = [rx.packets, rx.bytes, rx.poolEmpty]
  const kept = new Int32Array(1 << POOL_SHIFT)
  const taken = memory.allocate(0, kept, kept.length)
  for (let i = 0; i < 4; i++) wire.waiting.push(new Uint8Array(60).fill(i))
  bench.poll()
  expect(rx.receive(batch, RING)).toBe(0)
  memory.free(kept, 0, taken)
  wire.waiting.push(new Uint8Array(60))
  bench.poll()
  expect(rx.receive(batch, RING)).toBe(1)
  memory.free(batch, 0, 1)
  const counters = [rx.packets, rx.bytes, rx.poolEmpty]
  expect(counters.map((count, i) => count - before[i])).toEqual([1, 60, 4])
})

test('an app that only understands offloads gets its tags where they are', () => {
  const modest = new Bench('understands')
  const { frame } = build({ ...example, tag: 0x123, payload: new Uint8Array(100) }, false)
  modest.wire.waiting.push(frame)
  modest.poll()
  expect(modest.port.rx.receive(modest.batch, 8)).toBe(1)
  const [id] = modest.batch
  expect([modest.memory.size[id], modest.offloads.flags[id]]).toEqual([frame.length, CHECKSUM_GOOD])
  expect(modest.port.tx.transmit(modest.batch, 0, 1)).toBe(1)
  modest.poll()
  expect(hex(modest.wire.sent)).toEqual(hex([frame]))
  expect(modest.breaches()).toEqual([])
  modest.release()
})

describeIf(missing({ programs: ['tshark'] }), 'tshark finds no wrong checksum', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ixy-offloads-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('in thousands of frames', () => {
    const sent = bench.send(fitting(fc.sample(asked, 1200)).flatMap(repeated))
    const file = path.join(folder, 'sent.pcap')
    const capture = new CaptureFile(file)
    for (const frame of sent) capture.write(frame)
    capture.close()
    const fields = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status']
    const { stdout, stderr } = spawnSync(
      'tshark',
      [
        ...['-n', '-r', file, '-T', 'fields', '-E', 'separator=;', '-E', 'occurrence=f'],
        ...['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]),
        ...['ip.version', 'ipv6.version', ...fields].flatMap((field) => ['-e', field]),
      ],
      { encoding: 'utf8', maxBuffer: 2 ** 26 },
    )
    const lines = stdout.split('\n').slice(0, -1)
    expect([lines.length, stderr]).toEqual([sent.length, expect.any(String)])
    expect(sent.length).toBeGreaterThan(3000)
    // 1: good. IPv4 or IPv6, TCP or UDP, and each of them right.
    const right = /^(4;;1|6;6;);(1;|;1)$/
    expect(lines.filter((line) => !right.test(line))).toEqual([])
  })
})
