/** The driver has the virtual 82599 stamp packets: the card's clock is the test's. */
import { hasStamps } from '../../../src/driver/ixgbe/time-stamps.ts'
import { IxgbeDevice } from '../../../src/driver/ixgbe/device.ts'
import { ixgbe } from '../../../src/driver/ixgbe/driver.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { type DataPort, attachPort } from '../../../src/engine/data-plane.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory, packetMemoryBytes } from '../../../src/memory/packets.ts'
import { TestWire } from '../../vnic/model/host.ts'
import { ModelTransport } from './model-transport.ts'

const POOL_SHIFT = 8
const SIZE = { queues: 1, ringSize: 64 }
const PORT = 1337
const TYPE = 9
/** Nanoseconds. */
const CYCLE = 6.4

class Bench {
  readonly wire = new TestWire()
  /** Milliseconds. */
  time = 1_000_000
  readonly transport = new ModelTransport(this.wire, false, () => this.time)
  readonly device: IxgbeDevice
  readonly memory: PacketMemory
  readonly port: DataPort
  private readonly arena: DmaArena
  private now = 1000

  constructor() {
    const bytes = packetMemoryBytes(11, POOL_SHIFT, 2) + ixgbe.dmaBytes(SIZE, this.transport)
    this.arena = new DmaArena(bytes + 4096, false)
    for (const segment of this.arena.segments) this.transport.mapDma(segment)
    const spec = this.arena.takePackets(11, POOL_SHIFT, 2)
    this.device = new IxgbeDevice(this.transport, this.arena, {
      ...SIZE,
      ...{ bufferShift: 11, maxFrame: 1518, interrupts: false, warn: () => undefined },
      model: { model: 'virtual', family: '82599' },
    })
    this.memory = new PacketMemory(spec)
    this.port = attachPort(this.device.queues[0], this.memory, 0)
    for (let i = 0; i < 1000 && !this.device.link().up; i++) this.poll()
    this.device.start()
  }

  get stamps() {
    const { stamps } = this.device
    if (stamps === undefined) throw new Error('no stamps')
    return stamps
  }

  poll(): void {
    this.transport.model.poll((this.now += 1))
  }

  /** Sends it; the card is to note when. */
  send(frame: Uint8Array): void {
    const batch = new Int32Array(1)
    expect(this.memory.allocate(1, batch, 1)).toBe(1)
    this.memory.u8.set(frame, this.memory.dataOffset(batch[0]))
    this.memory.size[batch[0]] = frame.length
    expect(this.port.tx.transmitStamped?.(batch, 0)).toBe(1)
    this.poll()
  }

  receive(frame: Uint8Array): void {
    this.wire.waiting.push(frame)
    this.poll()
    const batch = new Int32Array(32)
    this.memory.free(batch, 0, this.port.rx.receive(batch, 32))
  }

  release(): void {
    expect(this.transport.model.strict.breaches()).toEqual([])
    this.device.close()
    this.transport.release()
    this.arena.close()
  }
}

/** A datagram that begins as a PTP message. */
function message({ port = PORT, version = 0x72, type = 0x69, sequence = 0x1234, source = 0xabcd } = {}) {
  const frame = Buffer.alloc(86)
  frame.set([0x08, 0x00, 0x45, 0, 0, 72, 0, 0, 0, 0, 64, 17], 12)
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], 26)
  frame.writeUInt16BE(port, 36)
  frame.writeUInt16BE(52, 38)
  frame.set([type, version], 42)
  for (let at = 62; at < 72; at += 2) frame.writeUInt16BE(source, at)
  frame.writeUInt16BE(sequence, 72)
  return frame
}

let bench: Bench
beforeEach(() => {
  bench = new Bench()
  bench.stamps.start(PORT, TYPE)
})
afterEach(() => bench.release())

test.each([0, 0.001, 0.0125, 3, 10_000, 86_400_000])('a packet that is away for %d ms', (milliseconds) => {
  for (const sequence of [1, 0xff01, 0xffff]) {
    bench.send(message())
    bench.time += milliseconds
    bench.receive(message({ sequence }))
    const stamped = bench.stamps.take()
    expect(stamped).toMatchObject({ sequence, source: 0xabcd })
    expect(Math.abs((stamped?.nanoseconds ?? NaN) - milliseconds * 1e6)).toBeLessThanOrEqual(2 * CYCLE)
    bench.time += 1
  }
})

test('nothing is told of one that is still away, nor of one whose departure nobody asked for', () => {
  expect(bench.stamps.take()).toBeNull()
  bench.send(message())
  expect(bench.stamps.take()).toBeNull()
  bench.receive(message())
  expect(bench.stamps.take()).toBeNull()
})

test('what was noted of another packet is told with its name, and taking it makes room', () => {
  bench.send(message())
  bench.receive(message({ sequence: 7, source: 1 }))
  bench.time += 5
  bench.receive(message())
  expect(bench.stamps.take()).toEqual({ nanoseconds: 0, sequence: 7, source: 1 })
  bench.send(message())
  bench.time += 5
  bench.receive(message({ sequence: 8 }))
  const { nanoseconds, ...whose } = bench.stamps.take() ?? { nanoseconds: NaN }
  expect(whose).toEqual({ sequence: 8, source: 0xabcd })
  expect(nanoseconds).toBeCloseTo(5e6, -2)
})

test.each([
  ['for another port', { port: PORT + 1 }],
  ['of another type', { type: 0x68 }],
  ['of another version: the usual payload', { version: 0x78 }],
])('a packet %s is not noted', (_, different) => {
  bench.send(message())
  bench.receive(message(different))
  expect(bench.stamps.take()).toBeNull()
})

test('a card that has noted one looks at no other frame until that is taken', () => {
  const { timeSync } = bench.transport.model
  expect(timeSync.receiving).toBe(true)
  bench.send(message())
  bench.receive(message())
  expect(timeSync.receiving).toBe(false)
  bench.stamps.take()
  expect(timeSync.receiving).toBe(true)
})

test('the clock of a slower link has longer cycles', () => {
  const { registers } = bench.transport.model
  registers.change(REG.LINKS, 2 << REG.LINKS.fields.LINK_SPEED.shift, REG.LINKS.fields.LINK_SPEED.mask)
  expect(bench.device.link().mbit).toBe(1000)
  bench.stamps.start(PORT, TYPE)
  bench.send(message())
  bench.time += 1
  bench.receive(message())
  // The virtual card's is always that of 10 Gbit/s, so what is told is ten times as long.
  expect(bench.stamps.take()?.nanoseconds).toBeCloseTo(1e7, -3)
})

test('cards with another clock are told apart', () => {
  const families = ['82599', 'X520', 'X540', 'X550', 'X552']
  expect(families.map((family) => hasStamps({ family, model: '' }))).toEqual([true, true, true, false, false])
})
