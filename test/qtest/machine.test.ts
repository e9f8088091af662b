/** What the judges of the drivers stand on: QEMU's cards, reached by us alone, no driver of ours in between. */
import { viewOf } from '../../src/linux/mapping.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { listCapabilities } from '../../src/pci/config-space.ts'
import { readIds } from '../../src/pci/ids.ts'
import type { RegisterWindow } from '../../src/pci/transport.ts'
import { describeIf } from '../skip.ts'
import { Machine, noQemu, type Nic } from './machine.ts'
import { eventually } from './rig.ts'

const MAC = '52:54:00:12:34:56'

let machine: Machine | undefined
afterEach(() => {
  machine?.stop()
  machine = undefined
})

function start(...nics: Nic[]): Machine {
  machine = new Machine(nics.map((nic) => ({ ...nic, device: `${nic.device},mac=${MAC},romfile=` })))
  return machine
}

function macAt(bar: RegisterWindow, offset: number): string {
  return Array.from({ length: 6 }, (_, i) =>
    bar
      .read8(offset + i)
      .toString(16)
      .padStart(2, '0'),
  ).join(':')
}

describeIf(noQemu, "QEMU's cards", () => {
  test('virtio, transitional: its registers are I/O ports', () => {
    const card = start({ device: 'virtio-net-pci,disable-modern=on' }).open(0)
    expect(readIds(card.config, card.name)).toMatchObject({ vendorId: 0x1af4, deviceId: 0x1000 })
    const bar = card.bar(0)
    expect(bar.space).toBe('io')
    expect(macAt(bar, 20)).toBe(MAC)
  })

  test('virtio, modern, behind a root port: capabilities, and fields of every width', () => {
    const card = start({ device: 'virtio-net-pci,disable-legacy=on', behindPort: true }).open(0)
    expect(readIds(card.config, card.name)).toMatchObject({ vendorId: 0x1af4, deviceId: 0x1041 })
    const structures = listCapabilities(card.config, card.name)
      .filter(({ id }) => id === 9)
      .map(({ offset }) => ({
        type: card.config.read8(offset + 3),
        bar: card.config.read8(offset + 4),
        at: card.config.read32(offset + 8),
      }))
    expect(structures.map(({ type }) => type).sort()).toEqual([1, 2, 3, 4, 5])
    const of = (wanted: number): { bar: number; at: number } =>
      structures.find(({ type }) => type === wanted) ?? { bar: -1, at: 0 }
    const common = of(1)
    expect(card.bar(common.bar).read16(common.at + 18)).toBe(3)
    const device = of(4)
    expect(macAt(card.bar(device.bar), device.at)).toBe(MAC)
    // A write that isn't waited for is done before what is read afterwards.
    card.bar(common.bar).write8(common.at + 20, 1)
    expect(card.bar(common.bar).read8(common.at + 20)).toBe(1)
  })

  test("igb: another maker's registers", () => {
    const card = start({ device: 'igb', behindPort: true }).open(0)
    expect(readIds(card.config, card.name)).toMatchObject({ vendorId: 0x8086, deviceId: 0x10c9 })
    const ral = card.bar(0).read32(0x5400)
    expect(ral.toString(16)).toBe('12005452')
  })

  test('e1000e: DMA from our memory, a doorbell, and the frame at the far end', () => {
    const card = start({ device: 'e1000e', behindPort: true }).open(0)
    const arena = new DmaArena(2 ** 20, false)
    arena.segments.forEach((segment) => card.mapDma(segment))
    const ring = arena.take(128)
    const frame = arena.take(64)
    new Uint8Array(viewOf(frame.address, 64)).fill(0xa5)
    // One legacy descriptor (82574 §7.2.10): EOP, IFCS, RS.
    const descriptor = new Uint32Array(viewOf(ring.address, 16))
    descriptor.set([frame.iova % 2 ** 32, frame.iova / 2 ** 32, 64 | (0xb << 24), 0])
    const registers = card.bar(0)
    registers.write32(0x3800, ring.iova % 2 ** 32)
    registers.write32(0x3804, ring.iova / 2 ** 32)
    registers.write32(0x3808, 128)
    // TCTL.EN and PSP
    registers.write32(0x400, 0xa)
    const tail = card.doorbell(0, 0x3818)
    if (tail.kind !== 'memory') throw new Error('registers in memory have doorbells in memory')
    new Uint32Array(viewOf(tail.page, 4096))[tail.offset / 4] = 1
    card.pump()
    const frames = eventually(() => {
      const found = machine?.farEnds[0].frames() ?? []
      return found.length > 0 ? found : null
    })
    expect(frames).toEqual([Buffer.alloc(64, 0xa5)])
    // DD is written back.
    expect(descriptor[3] & 1).toBe(1)
    expect(machine?.complaints()).toEqual([])
    card.close()
    machine?.stop()
    arena.close()
  })
})
