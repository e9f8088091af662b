/** The virtio driver on QEMU's card, in all the shapes that QEMU offers. */
import type { VirtioQueueSpec } from '../../src/driver/virtio/queue-spec.ts'
import { drainEventFd } from '../../src/linux/file.ts'
import { viewOf } from '../../src/linux/mapping.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import type { AccessPath } from '../../src/pci/transport.ts'
import { Undo } from '../../src/undo.ts'
import { describeIf, missing } from '../skip.ts'
import type { FarEnd } from './far-end.ts'
import { Machine, noQemu, type Nic } from './machine.ts'
import { eventually, Rig, type RigOptions } from './rig.ts'
import { echoed, echoedByTap, flowFrames, flowOf, mixedFrames } from './streams.ts'
import { TapEnd } from './tap-end.ts'

const FLOWS = 32
const MAC = '52:54:00:12:34:56'
const CARD = `virtio-net-pci,mac=${MAC},romfile=`

const LEGACY: Nic = { device: `${CARD},disable-modern=on` }
const TRANSITIONAL: Nic = { device: CARD }
const MODERN: Nic = { device: `${CARD},disable-legacy=on`, behindPort: true }
const PACKED: Nic = { device: `${CARD},disable-legacy=on,packed=on`, behindPort: true }

const withOptions = ({ device, ...rest }: Nic, more: string): Nic => ({
  ...rest,
  device: `${device},${more}`,
})

const undo = new Undo()
afterEach(() => undo.run())

function start(nic: Nic, wrapper: readonly string[] = []): Machine {
  const machine = new Machine([nic], { wrapper })
  undo.push(() => machine.stop())
  return machine
}

interface Bench {
  readonly machine: Machine
  readonly rig: Rig
  readonly farEnd: FarEnd
  /** Gives the card back and asks for its verdict. */
  close(): void
}

function open(nic: Nic, { access, ...options }: RigOptions & { access?: AccessPath } = {}): Bench {
  const machine = start(nic)
  const rig = new Rig(machine.open(0, access), options)
  const close = (): void => {
    rig.close()
    expect(machine.complaints()).toEqual([])
  }
  return { machine, rig, farEnd: machine.farEnds[0], close }
}

const SHAPES: readonly (readonly [string, Nic])[] = [
  ['legacy', LEGACY],
  ['legacy without mergeable buffers', withOptions(LEGACY, 'mrg_rxbuf=off')],
  ['transitional', TRANSITIONAL],
  ['modern', MODERN],
  ['modern without mergeable buffers', withOptions(MODERN, 'mrg_rxbuf=off')],
  ['modern without event index', withOptions(MODERN, 'event_idx=off')],
  ['modern without control queue', withOptions(MODERN, 'ctrl_vq=off')],
  ['modern as behind an IOMMU', withOptions(MODERN, 'iommu_platform=on')],
  ['packed', PACKED],
  ['packed without mergeable buffers', withOptions(PACKED, 'mrg_rxbuf=off')],
  ['packed without event index', withOptions(PACKED, 'event_idx=off')],
]

/** Waits until the card has given back all that was sent: only then it counts as sent. */
function settled({ ports }: Rig): void {
  eventually(() => (ports.every(({ tx }) => tx.pending() === 0) ? true : null))
}

/** Does what the driver never would, so that the card finds an error. */
function spoilTransmitRing({ device, transport }: Rig): void {
  const { tx, shape } = device.queues[0] as VirtioQueueSpec
  const ring = viewOf(tx.address, 16 * tx.entries + 4)
  if (shape.packed) {
    // An indirect table of one byte: INDIRECT and AVAIL.
    new Uint32Array(ring).set([0, 1, 1, 0x84 << 16])
  } else {
    // More packets than there are descriptors.
    new Uint16Array(ring)[8 * tx.entries + 1] += tx.entries + 1
  }
  const { doorbell } = tx
  if (doorbell.kind !== 'memory') throw new Error('a doorbell in memory')
  new Uint16Array(viewOf(doorbell.page, 4096))[doorbell.offset / 2] = tx.queue
  transport.pump()
}

/** Jest takes seconds to compare that many bytes. */
function expectFrames(came: readonly Buffer[], sent: readonly Buffer[]): void {
  expect(came.findIndex((frame, i) => !sent[i]?.equals(frame))).toBe(-1)
  expect(came.length).toBe(sent.length)
}

const bytesOf = (frames: readonly Buffer[]): number => frames.reduce((sum, { length }) => sum + length, 0)

describeIf(noQemu, "virtio on QEMU's card", () => {
  describe.each(['ts', 'wasm'] as const)('%s', (backend) => {
    test.each(SHAPES)('%s: 6,000 frames of 60 to 1514 bytes, there and back', (_, nic) => {
      const { rig, farEnd, close } = open(nic, { backend })
      expect(rig.device.mac).toBe(MAC)
      expect(rig.device.link().up).toBe(true)
      const frames = mixedFrames(2000)
      echoed(rig, farEnd, frames, 6000)
      settled(rig)
      const bytes = 3 * bytesOf(frames)
      expect(rig.device.statistics()).toMatchObject({
        ...{ rxPackets: 6000, rxBytes: bytes, txPackets: 6000, txBytes: bytes },
        dropped: {},
      })
      const [{ rx, tx }] = rig.ports
      expect([rx.packets, rx.bytes, tx.packets, tx.bytes]).toEqual([6000, bytes, 6000, bytes])
      expect(rig.warnings).toEqual([])
      close()
    })

    test.each([
      ['legacy', LEGACY],
      ['modern', MODERN],
      ['modern without mergeable buffers', withOptions(MODERN, 'mrg_rxbuf=off')],
      ['packed', PACKED],
    ])('%s: jumbo frames of up to 9014 bytes', (_, nic) => {
      const { rig, farEnd, close } = open(nic, { backend, maxFrame: 9018 })
      echoed(rig, farEnd, mixedFrames(500, 60, 9014), 1000)
      expect(rig.warnings).toEqual([])
      close()
    })

    test.each([
      ['legacy', LEGACY],
      ['modern', MODERN],
      ['packed', PACKED],
    ])('%s: frames larger than a buffer are dropped, counted, and nothing else is', (_, nic) => {
      const { rig, farEnd, close } = open(nic, { backend })
      const small = mixedFrames(100)
      const large = mixedFrames(20, 3000, 8000)
      farEnd.send(...small.slice(0, 50), ...large, ...small.slice(50))
      const frames: Buffer[] = []
      eventually(() => {
        frames.push(...rig.received().map(({ frame }) => frame))
        return frames.length >= small.length ? true : null
      })
      expectFrames(frames, small)
      const [{ rx }] = rig.ports
      expect([rx.packets, rx.poolEmpty, rx.badLength]).toEqual([100, 0, 0])
      close()
    })
  })

  // Of send rings, QEMU's card has 256 descriptors at most.
  for (const ringSize of [64, 128, 256, 512, 1024])
    test.each([
      ['legacy', withOptions(LEGACY, 'rx_queue_size=1024'), 'ts'],
      ['modern', withOptions(MODERN, 'rx_queue_size=1024'), 'wasm'],
      ['packed', withOptions(PACKED, 'rx_queue_size=1024'), 'ts'],
    ] as const)(`rings of ${ringSize}, %s`, (_, nic, backend) => {
      const { rig, farEnd, close } = open(nic, { backend, ringSize })
      echoed(rig, farEnd, mixedFrames(1500), 3000)
      close()
    })

  test('a million frames, there and back', () => {
    const { rig, farEnd, close } = open(MODERN, { backend: 'wasm' })
    echoed(rig, farEnd, mixedFrames(1000), 1_000_000)
    settled(rig)
    expect(rig.device.statistics()).toMatchObject({ rxPackets: 1_000_000, txPackets: 1_000_000 })
    close()
  }, 120_000)

  test.each([
    ['legacy', LEGACY],
    ['modern', MODERN],
    ['packed', PACKED],
  ])('%s: the link goes down and up', (_, nic) => {
    const { machine, rig, farEnd, close } = open(nic)
    const linkIs = (up: boolean): true | null => (rig.device.link().up === up ? true : null)
    for (const up of [false, true, false, true]) {
      machine.monitor.run('set_link', { name: 'nic0', up })
      eventually(() => linkIs(up))
    }
    echoed(rig, farEnd, mixedFrames(500), 500)
    close()
  })

  test.each([
    ['legacy', LEGACY],
    ['modern', MODERN],
    ['packed', PACKED],
  ])('%s: opened again and again on the same card, under load', (_, nic) => {
    const machine = start(nic)
    const [farEnd] = machine.farEnds
    const arena = new DmaArena(2 ** 24, false)
    const frames = mixedFrames(300)
    const mark = Buffer.alloc(60, 0xee)
    for (let round = 0; round < 4; round++) {
      const rig = new Rig(machine.open(0), { arena })
      // What the last one left on the wire comes before this.
      farEnd.send(mark)
      eventually(() => {
        farEnd.frames()
        return rig.received().some(({ frame }) => frame.equals(mark)) ? true : null
      })
      echoed(rig, farEnd, frames, 900)
      farEnd.send(...frames)
      rig.close()
    }
    expect(machine.complaints()).toEqual([])
    machine.stop()
    arena.close()
  })

  test.each([
    ['modern', withOptions(MODERN, 'iommu_platform=on')],
    ['packed', withOptions(PACKED, 'iommu_platform=on')],
  ])('%s: interrupts, when packets have come', (_, nic) => {
    const { rig, farEnd, close } = open(nic, { interrupts: true, access: 'vfio' })
    const fd = rig.device.queues[0].interrupt ?? -1
    const interrupted = (): true | null => {
      rig.transport.pump()
      return drainEventFd(fd) ? true : null
    }
    const frames = mixedFrames(600)
    for (let first = 0; first < frames.length; first += 200) {
      farEnd.send(...frames.slice(first, first + 200))
      const came: Buffer[] = []
      while (came.length < 200) {
        eventually(interrupted)
        came.push(...rig.received().map(({ frame }) => frame))
      }
      expectFrames(came, frames.slice(first, first + 200))
    }
    close()
  })

  test('through VFIO, a card that goes past the IOMMU is refused', () => {
    expect(() => open(MODERN, { access: 'vfio' })).toThrow(/ACCESS_PLATFORM/)
  })

  test.each([
    ['modern', MODERN],
    ['packed', PACKED],
  ])('%s: a card that has found an error is a failure of the device', (_, nic) => {
    const { machine, rig } = open(nic)
    rig.device.assertAlive()
    spoilTransmitRing(rig)
    eventually(() => (machine.complaints().length > 0 ? true : null))
    expect(() => rig.device.assertAlive()).toThrow(/NEEDS_RESET/)
    rig.close()
  })
})

describeIf(
  noQemu ?? missing({ root: true, tap: true, programs: ['ip'] }),
  "virtio with several queue pairs on QEMU's card",
  () => {
    test.each([
      ['modern', MODERN],
      ['packed', PACKED],
    ])('%s: four of four, and two: each flow stays in order, and all queues have some', (_, { device }) => {
      const tap = new TapEnd(4)
      undo.push(() => tap.close())
      const nic = { device: `${device},mq=on,vectors=10`, behindPort: true, netdev: tap.netdev }
      const machine = start(nic, tap.wrapper)
      const arena = new DmaArena(2 ** 25, false)
      for (const queues of [4, 2]) {
        const rig = new Rig(machine.open(0), { queues, arena })
        const frames = flowFrames(FLOWS, 2000)
        const came = echoedByTap(rig, tap, frames)
        for (let flow = 0; flow < FLOWS; flow++) {
          const of = (all: readonly Buffer[]): Buffer[] => all.filter((frame) => flowOf(frame) === flow)
          expectFrames(of(came), of(frames))
        }
        const counts = rig.ports.map(({ rx }) => rx.packets)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(frames.length)
        expect(Math.min(...counts)).toBeGreaterThan(0)
        rig.close()
      }
      expect(machine.complaints()).toEqual([])
      machine.stop()
      arena.close()
    })
  },
)
