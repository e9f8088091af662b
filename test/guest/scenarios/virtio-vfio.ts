/** ixy-ts in the guest on QEMU's virtio cards behind an IOMMU, through VFIO; with interrupts, too. */
import assert from 'node:assert/strict'
import { RunningIxy, accessPaths, ixy, mixedFrames, nothingDropped, passes } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario } from '../harness/scenario.ts'
import { StreamEnd } from '../harness/stream-end.ts'

const FRAMES = 20_000
const [MAC_A, MAC_B] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b']

/** Split rings, packed rings, and one that goes past the IOMMU. */
const SPLIT = '0000:00:05.0'
const PACKED = '0000:00:06.0'
const PAST_IOMMU = '0000:00:07.0'

export const virtioVfio: Scenario = {
  name: 'virtio-vfio',
  deadline: 240,
  async run(test) {
    const farA = await StreamEnd.create(test, 'a')
    const farB = await StreamEnd.create(test, 'b')
    const [netA, netB] = [farA, farB].map(({ netdev }, i) => netdev.replace(',', `,id=${'ab'[i]},`))
    const behind = 'iommu_platform=on,disable-legacy=on,romfile='
    const guest = await test.boot({
      devices: [
        ...['-device', 'intel-iommu'],
        ...['-netdev', netA ?? '', '-device', `virtio-net-pci,netdev=a,addr=5,${behind}`],
        ...['-netdev', netB ?? '', '-device', `virtio-net-pci,netdev=b,addr=6,packed=on,${behind}`],
        ...['-device', 'virtio-net-pci,addr=7,disable-legacy=on,romfile='],
      ],
      kernelWords: 'intel_iommu=on',
    })
    await guest.sh(
      `load vfio-pci; load vfio_iommu_type1
       echo 48 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`,
    )
    await test.check('a card that goes past the IOMMU is refused, with the reason', async () => {
      const { code, output } = await ixy(guest, `forward ${SPLIT} ${PAST_IOMMU} --duration 1`)
      assert.equal(code, 3, output)
      assert.match(output, /ACCESS_PLATFORM.*iommu_platform=on.*IXY_ERR_DEVICE_UNSUPPORTED/s)
    })
    const frames = mixedFrames(MAC_B, MAC_A, FRAMES)
    const forward = `forward ${SPLIT} ${PACKED}`
    const polling = await RunningIxy.start(guest, forward)
    await test.check(`${FRAMES} frames of 60 to 1514 bytes, split to packed`, () =>
      passes(farA, farB, frames),
    )
    await test.check('and packed to split', () => passes(farB, farA, frames.slice(0, 5000)))
    await test.check('SIGINT: exit 0, nothing lost', async () => {
      const { code, output } = await polling.stop()
      assert.equal(code, 0, output)
      assert.deepEqual(accessPaths(output), ['vfio', 'vfio'])
      return nothingDropped(output)
    })
    for (const mode of ['interrupt', 'adaptive'])
      await test.check(`--mode ${mode}: bursts of 1 to 400 frames, with rests between`, async () => {
        const running = await RunningIxy.start(guest, `${forward} --mode ${mode}`)
        for (let first = 0, size = 1; first < 2000; first += size, size = (size * 7) % 401) {
          await passes(farA, farB, frames.slice(first, first + size))
          await passes(farB, farA, frames.slice(first, first + 1))
        }
        const { code, output } = await running.stop()
        assert.equal(code, 0, output)
        return nothingDropped(output)
      })
    await test.check('--mtu 9000: frames of 60 to 9014 bytes', async () => {
      const running = await RunningIxy.start(guest, `${forward} --mtu 9000`)
      await passes(farA, farB, mixedFrames(MAC_B, MAC_A, 1000, 9014), 50)
      const { code, output } = await running.stop()
      assert.equal(code, 0, output)
      return nothingDropped(output)
    })
    await test.check('nothing wrong in the kernel log', () => assertNoDisaster(new LinuxNic(guest)))
  },
}
