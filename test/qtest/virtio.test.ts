/** The virtio driver on QEMU's card, in all the shapes that QEMU offers. */
import { describeIf } from '../skip.ts'
import type { FarEnd } from './far-end.ts'
import { Machine, noQemu, type Nic } from './machine.ts'
import { eventually, Rig, type RigOptions } from './rig.ts'
import { echoed, mixedFrames } from './streams.ts'

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

class Bench {
  readonly machine: Machine
  readonly rig: Rig
  readonly farEnd: FarEnd

  constructor(nic: Nic, options: RigOptions = {}) {
    this.machine = new Machine([nic])
    try {
      this.farEnd = this.machine.farEnds[0]
      this.rig = new Rig(this.machine.open(0), options)
    } catch (error) {
      this.machine.stop()
      throw error
    }
  }

  /** The card's verdict, too. */
  close(): void {
    this.rig.close()
    const complaints = this.machine.complaints()
    this.machine.stop()
    expect(complaints).toEqual([])
  }
}

let bench: Bench | undefined
afterEach(() => {
  const { machine } = bench ?? {}
  bench = undefined
  machine?.stop()
})

function open(nic: Nic, options: RigOptions = {}): Bench {
  bench = new Bench(nic, options)
  return bench
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

describeIf(noQemu, "virtio on QEMU's card", () => {
  describe.each(['ts', 'wasm'] as const)('%s', (backend) => {
    test.each(SHAPES)('%s: 6,000 frames of 60 to 1514 bytes, there and back', (_, nic) => {
      const { rig, farEnd } = open(nic, { backend })
      expect(rig.device.mac).toBe(MAC)
      expect(rig.device.link().up).toBe(true)
      const frames = mixedFrames(2000)
      echoed(rig, farEnd, frames, 6000)
      const bytes = 3 * frames.reduce((sum, { length }) => sum + length, 0)
      expect(rig.device.statistics()).toMatchObject({ rxPackets: 6000, txPackets: 6000 })
      const [{ rx, tx }] = rig.ports
      expect({ in: rx.packets, inBytes: rx.bytes, out: tx.packets, outBytes: tx.bytes }).toEqual({
        in: 6000,
        inBytes: bytes,
        out: 6000,
        outBytes: bytes,
      })
      eventually(() => (tx.pending() === 0 ? true : null))
      expect(rig.warnings).toEqual([])
      bench?.close()
    })
  })
})
