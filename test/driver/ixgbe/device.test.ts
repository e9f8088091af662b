import { type DataPort, attachPort } from '../../../src/engine/data-plane.ts'
import type { DeviceOptions } from '../../../src/driver/driver.ts'
import { IxgbeDevice } from '../../../src/driver/ixgbe/device.ts'
import { ixgbe } from '../../../src/driver/ixgbe/driver.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { offsetOf, type Register } from '../../../src/driver/intel/register.ts'
import { DmaArena } from '../../../src/memory/arena.ts'
import { PacketMemory, bufferShiftFor, packetMemoryBytes } from '../../../src/memory/packets.ts'
import { TestWire } from '../../vnic/model/host.ts'
import { ModelTransport } from './model-transport.ts'

const POOL_SHIFT = 8
const MODEL = { model: 'virtual', family: '82599' }

interface BenchOptions extends Partial<DeviceOptions> {
  /** A card that isn't as it should be: what it reads at an offset instead of the model's value. */
  broken?: (transport: ModelTransport, offset: number, value: number) => number
}

class Bench {
  readonly wire = new TestWire()
  readonly transport = new ModelTransport(this.wire)
  readonly warnings: string[] = []
  readonly device: IxgbeDevice
  readonly memory: PacketMemory
  readonly ports: DataPort[]
  private readonly arena: DmaArena
  private now = 1000

  constructor({ broken, ...options }: BenchOptions = {}) {
    const { transport } = this
    const { read32 } = transport.bar0
    if (broken !== undefined)
      Object.assign(transport.bar0, {
        read32: (offset: number) => broken(transport, offset, read32(offset)),
      })
    const { queues = 1, ringSize = 64, maxFrame = 1518 } = options
    const bufferShift = bufferShiftFor(maxFrame)
    const pools = Math.max(2, queues)
    const bytes =
      packetMemoryBytes(bufferShift, POOL_SHIFT, pools) + ixgbe.dmaBytes({ queues, ringSize }, this.transport)
    this.arena = new DmaArena(bytes + 4096, false)
    for (const segment of this.arena.segments) this.transport.mapDma(segment)
    const spec = this.arena.takePackets(bufferShift, POOL_SHIFT, pools)
    this.device = new IxgbeDevice(this.transport, this.arena, {
      queues,
      ringSize,
      bufferShift,
      maxFrame,
      model: MODEL,
      interrupts: false,
      warn: (message) => this.warnings.push(message),
      ...options,
    })
    this.memory = new PacketMemory(spec)
    this.ports = this.device.queues.map((queue, i) => attachPort(queue, this.memory, i))
    for (let i = 0; i < 1000 && !this.device.link().up; i++) this.poll()
    this.device.start()
  }

  poll(): void {
    this.transport.model.poll((this.now += 1))
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

function frame(length: number, fill: number): Uint8Array {
  return new Uint8Array(length).fill(fill)
}

let bench: Bench
afterEach(() => bench.release())

test('brings the card up without a breach of the datasheet, and finds MAC address and link', () => {
  bench = new Bench()
  expect(bench.breaches()).toEqual([])
  expect(bench.device.mac).toBe('02:11:22:33:44:55')
  expect(bench.device.link()).toEqual({ up: true, mbit: 10_000 })
})

test('receives what comes in and sends it out again, byte for byte', () => {
  bench = new Bench()
  const frames = [frame(60, 1), frame(61, 2), frame(1514, 3), frame(64, 4)]
  bench.wire.waiting.push(...frames)
  bench.poll()
  const batch = new Int32Array(32)
  const [{ rx, tx }] = bench.ports
  expect(rx.receive(batch, 32)).toBe(4)
  expect(tx.transmit(batch, 0, 4)).toBe(4)
  bench.poll()
  expect(bench.wire.sent).toEqual(frames)
  expect(tx.pending()).toBe(0)
  expect(bench.breaches()).toEqual([])
})

test('goes round the rings many times without loss', () => {
  bench = new Bench()
  const batch = new Int32Array(32)
  const [{ rx, tx }] = bench.ports
  for (let i = 0; i < 1000; i++) {
    bench.wire.waiting.push(frame(60 + (i % 1400), i & 0xff))
    if (i % 7 === 0) bench.poll()
    tx.transmit(batch, 0, rx.receive(batch, Math.min(32, tx.room())))
  }
  for (let i = 0; i < 10; i++) {
    bench.poll()
    tx.transmit(batch, 0, rx.receive(batch, Math.min(32, tx.room())))
  }
  bench.poll()
  expect(bench.wire.sent.length).toBe(1000)
  bench.wire.sent.forEach((sent, i) => {
    expect(sent.length).toBe(60 + (i % 1400))
    expect(sent[0]).toBe(i & 0xff)
  })
  expect(bench.breaches()).toEqual([])
})

test('statistics count packets, bytes without FCS, and drops by cause, exactly once', () => {
  bench = new Bench()
  const batch = new Int32Array(64)
  const [{ rx, tx }] = bench.ports
  bench.wire.waiting.push(frame(100, 1), frame(200, 2), frame(1600, 3))
  bench.poll()
  tx.transmit(batch, 0, rx.receive(batch, 64))
  bench.poll()
  for (const times of [1, 2]) {
    expect({ times, ...bench.device.statistics() }).toMatchObject({
      rxPackets: 2,
      rxBytes: 300,
      txPackets: 2,
      txBytes: 300,
    })
  }
  expect(bench.device.statistics().dropped).toMatchObject({ oversize: 1, missed: 0, crc: 0 })
})

test('a counter that was read too late is told of: the datasheet has them stick', () => {
  bench = new Bench()
  const { statistics } = bench.transport.model
  statistics.add(REG.GOTCL, 2 ** 36 - 2)
  statistics.add(REG.MPC, 2 ** 32 - 2, 3)
  expect(bench.device.statistics()).toMatchObject({ txBytes: 2 ** 36 - 2, stuck: [] })
  statistics.add(REG.GOTCL, 2 ** 36 + 1000)
  statistics.add(REG.MPC, 2 ** 32, 3)
  const { txBytes, stuck } = bench.device.statistics()
  expect(stuck).toEqual(['GOTCL', 'MPC'])
  expect(txBytes).toBe(2 * 2 ** 36 - 3)
})

test('jumbo frames arrive whole in larger buffers', () => {
  bench = new Bench({ maxFrame: 9018 })
  bench.wire.waiting.push(frame(9014, 7), frame(60, 8))
  bench.poll()
  const batch = new Int32Array(32)
  const [{ rx, tx }] = bench.ports
  expect(rx.receive(batch, 32)).toBe(2)
  tx.transmit(batch, 0, 2)
  bench.poll()
  expect(bench.wire.sent.map(({ length }) => length)).toEqual([9014, 60])
  expect(bench.breaches()).toEqual([])
})

test('several queues share the load; each flow stays on one', () => {
  bench = new Bench({ queues: 4 })
  const udp = (port: number): Uint8Array => {
    const bytes = new Uint8Array(60)
    bytes.set(
      [8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, port >> 8, port & 0xff],
      12,
    )
    return bytes
  }
  const ports = Array.from({ length: 40 }, (_, i) => 1000 + i)
  for (let round = 0; round < 3; round++) {
    bench.wire.waiting.push(...ports.map(udp))
    bench.poll()
  }
  const queueOf = new Map<number, number>()
  let received = 0
  bench.ports.forEach(({ rx }, queue) => {
    const batch = new Int32Array(64)
    const count = rx.receive(batch, 64)
    received += count
    expect(count).toBeGreaterThan(0)
    for (const id of batch.subarray(0, count)) {
      const at = bench.memory.dataOffset(id) + 34
      const port = (bench.memory.u8[at] << 8) | bench.memory.u8[at + 1]
      expect(queueOf.get(port) ?? queue).toBe(queue)
      queueOf.set(port, queue)
    }
  })
  expect(received).toBe(120)
  expect(queueOf.size).toBe(40)
  expect(bench.device.statistics().rxPackets).toBe(120)
  expect(bench.breaches()).toEqual([])
})

test('received packets raise the interrupt of their queue', () => {
  bench = new Bench({ interrupts: true })
  expect(bench.device.queues[0].interrupt).toBe(100)
  const before = bench.transport.signals.length
  bench.wire.waiting.push(frame(60, 1))
  bench.poll()
  bench.poll()
  expect(bench.transport.signals.slice(before)).toContain(0)
  expect(bench.breaches()).toEqual([])
})

test('closing stops all DMA and leaves no queue enabled', () => {
  bench = new Bench()
  bench.device.close()
  const read = (register: (typeof REG)[keyof typeof REG]): number =>
    bench.transport.model.registers.read(offsetOf(register))
  expect(read(REG.RXCTRL) & REG.RXCTRL.fields.RXEN.mask).toBe(0)
  expect(read(REG.RXDCTL) & REG.RXDCTL.fields.ENABLE.mask).toBe(0)
  expect(read(REG.TXDCTL) & REG.TXDCTL.fields.ENABLE.mask).toBe(0)
  expect(read(REG.STATUS) & REG.STATUS.fields.MASTER_ENABLE.mask).toBe(0)
  expect(bench.transport.closed).toBe(true)
  expect(bench.breaches()).toEqual([])
})

test('a card whose tail registers workers can not reach is refused, and told which', () => {
  bench = new Bench()
  const transport = new ModelTransport(new TestWire())
  transport.sharesDoorbells = false
  const arena = new DmaArena(1 << 16, false)
  const options = {
    queues: 1,
    ringSize: 64,
    bufferShift: 11,
    maxFrame: 1518,
    model: MODEL,
    interrupts: false,
    warn: () => undefined,
  }
  expect(() => new IxgbeDevice(transport, arena, options)).toThrow(
    /server of virtual:test doesn't share the tail registers \(RDT\[0\] at 0x1018 of BAR0\); use a server of this program/,
  )
  arena.close()
  transport.release()
})

test('receive is switched on while the path through the security block is closed and empty', () => {
  bench = new Bench()
  const control = offsetOf(REG.SECRXCTRL).toString(16)
  const receive = offsetOf(REG.RXCTRL).toString(16)
  const wanted = bench.transport.writes.filter(
    (write) => write.startsWith(`${control}=`) || write === `${receive}=1`,
  )
  expect(wanted).toEqual([`${control}=3`, `${receive}=1`, `${control}=1`])
  expect(bench.breaches()).toEqual([])
  expect(bench.warnings).toEqual([])
})

test('a security block that is never ready is told of, and packets come in all the same', () => {
  const notReady = REG.SECRXSTAT.fields.SECRX_RDY.mask
  bench = new Bench({
    broken: (_, offset, value) => (offset === offsetOf(REG.SECRXSTAT) ? value & ~notReady : value),
  })
  expect(bench.warnings).toEqual([expect.stringMatching(/security block .* 40 ms .*82599 §8\.2\.3\.12\.6/)])
  bench.wire.waiting.push(frame(60, 1))
  bench.poll()
  expect(bench.ports[0].rx.receive(new Int32Array(32), 32)).toBe(1)
})

describe('a card that a killed program has left with a request that never ends', () => {
  const reset = `${offsetOf(REG.CTRL).toString(16)}=4000008`
  const resets = (transport: ModelTransport): number =>
    transport.writes.filter((write) => write === reset).length

  test('is flushed, reset twice, and works', () => {
    const buffers = offsetOf(REG.GCR_EXT)
    bench = new Bench({
      broken: (transport, offset, value) =>
        offset === offsetOf(REG.STATUS) && resets(transport) < 2
          ? value | REG.STATUS.fields.MASTER_ENABLE.mask
          : value,
    })
    const { writes } = bench.transport
    expect(bench.warnings).toEqual([
      expect.stringMatching(/request under way .* 100 ms .*§5\.2\.5\.3\.2.*reset twice/),
    ])
    expect(resets(bench.transport)).toBe(2)
    const flushed = writes.findIndex((write) => write.startsWith(`${buffers.toString(16)}=4`))
    expect(flushed).toBeGreaterThan(-1)
    expect(flushed).toBeLessThan(writes.indexOf(reset))
    bench.wire.waiting.push(frame(60, 1))
    bench.poll()
    expect(bench.ports[0].rx.receive(new Int32Array(32), 32)).toBe(1)
    expect(bench.breaches()).toEqual([])
  })

  test('and holds it for ever, works as well', () => {
    bench = new Bench({
      broken: (_, offset, value) =>
        offset === offsetOf(REG.STATUS) ? value | REG.STATUS.fields.MASTER_ENABLE.mask : value,
    })
    expect(resets(bench.transport)).toBe(2)
    bench.wire.waiting.push(frame(60, 1))
    bench.poll()
    expect(bench.ports[0].rx.receive(new Int32Array(32), 32)).toBe(1)
    bench.device.close()
    // Given back as new: nothing of it runs any more.
    expect(resets(bench.transport)).toBe(3)
    expect(bench.transport.closed).toBe(true)
  })
})

test.each([
  ['receive', REG.RXDCTL],
  ['transmit', REG.TXDCTL],
] as const)('a %s queue that does not stop keeps nothing else from being stopped', (_, control) => {
  const { mask } = control.fields.ENABLE
  bench = new Bench({
    queues: 2,
    broken: (transport, offset, value) =>
      offset === offsetOf(control, 0) && transport.stopping ? value | mask : value,
  })
  bench.transport.stopping = true
  const begin = performance.now()
  bench.device.close()
  expect(performance.now() - begin).toBeLessThan(4000)
  const read = (register: Register, index = 0): number =>
    bench.transport.model.registers.read(offsetOf(register, index))
  expect(read(REG.RXCTRL) & REG.RXCTRL.fields.RXEN.mask).toBe(0)
  for (const index of [0, 1]) {
    expect(read(REG.RXDCTL, index) & REG.RXDCTL.fields.ENABLE.mask).toBe(0)
    expect(read(REG.TXDCTL, index) & REG.TXDCTL.fields.ENABLE.mask).toBe(0)
  }
  expect(read(REG.DMATXCTL) & REG.DMATXCTL.fields.TE.mask).toBe(0)
  expect(read(REG.STATUS) & REG.STATUS.fields.MASTER_ENABLE.mask).toBe(0)
  expect(bench.transport.closed).toBe(true)
  expect(bench.warnings).toEqual([
    expect.stringMatching(new RegExp(`doesn't shut down in order: .*${control.name}\\[0\\] & 0x02000000`)),
  ])
})

test('a bit that does not come is named, with register and section', () => {
  bench = new Bench()
  const transport = new ModelTransport(new TestWire())
  const { read32 } = transport.bar0
  // A card whose EEPROM never finishes loading.
  const broken = {
    ...transport.bar0,
    read32: (offset: number) => (offset === offsetOf(REG.EEC) ? 0 : read32(offset)),
  }
  Object.assign(transport, { bar0: broken })
  const arena = new DmaArena(1 << 16, false)
  expect(
    () =>
      new IxgbeDevice(transport, arena, {
        queues: 1,
        ringSize: 64,
        bufferShift: 11,
        maxFrame: 1518,
        model: MODEL,
        interrupts: false,
        warn: () => undefined,
      }),
  ).toThrow(/virtual:test: EEC & 0x00000200 is 0x00000000.*82599 §8\.2\.3\.2\.1/)
  arena.close()
  transport.release()
})
