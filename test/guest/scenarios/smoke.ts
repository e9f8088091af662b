/** The guest itself: Node with koffi, hugepages and their physical addresses, the kernel's own driver, VFIO with an IOMMU. */
import assert from 'node:assert/strict'
import { PRODUCT_FOLDER } from '../harness/initramfs.ts'
import type { Scenario } from '../harness/scenario.ts'

const KOFFI_MMAP = `
const koffi = require('koffi')
const libc = koffi.load('libc.so.6')
const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)')
const address = mmap(null, 2 << 20, 3, 0x40022, -1, 0) // MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB
const page = Buffer.from(koffi.view(address, 2 << 20))
page.write('from the guest')
const fs = require('fs')
const entry = Buffer.alloc(8)
const pagemap = fs.openSync('/proc/self/pagemap', 'r')
fs.readSync(pagemap, entry, 0, 8, Number(koffi.address(address) / 4096n) * 8)
const pfn = entry.readBigUInt64LE() & ((1n << 55n) - 1n)
console.log(process.version, page.toString('latin1', 0, 14), (pfn * 4096n).toString(16))
`

export const smoke: Scenario = {
  name: 'smoke',
  deadline: 180,
  async run(test) {
    const guest = await test.boot({
      devices: ['-device', 'intel-iommu', '-device', 'e1000e,id=nic0,romfile=,addr=5'],
      kernelWords: 'intel_iommu=on',
    })

    await test.check('Node runs', async () => {
      const version = (await guest.sh('node --single-threaded --version')).trim()
      assert.equal(version, process.version)
      return version
    })

    await test.check('koffi maps a hugepage and pagemap tells its address', async () => {
      await guest.sh('echo 16 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')
      const script = Buffer.from(KOFFI_MMAP).toString('base64')
      const output = await guest.sh(
        `cd ${PRODUCT_FOLDER} && echo ${script} | base64 -d > /tmp/mmap.cjs && NODE_PATH=node_modules node --single-threaded /tmp/mmap.cjs`,
      )
      const facts = /^(\S+) from the guest ([0-9a-f]+)$/m.exec(output)
      assert.ok(facts, output)
      const physical = Number.parseInt(facts[2] ?? '', 16)
      assert.ok(physical > 0 && physical % (2 << 20) === 0, `physical address ${physical}`)
      return `physical address 0x${physical.toString(16)}`
    })

    await test.check("the kernel's e1000e takes its NIC", async () => {
      await guest.sh('load e1000e')
      const driver = await guest.sh('readlink /sys/bus/pci/devices/0000:00:05.0/driver')
      assert.match(driver, /\/e1000e$/m)
    })

    await test.check('vfio-pci takes it over, behind an IOMMU', async () => {
      await guest.sh('load vfio-pci && load vfio_iommu_type1')
      const output = await guest.sh(`
        device=/sys/bus/pci/devices/0000:00:05.0
        echo vfio-pci > $device/driver_override
        echo 0000:00:05.0 > $device/driver/unbind
        echo 0000:00:05.0 > /sys/bus/pci/drivers_probe
        readlink $device/driver
        ls /dev/vfio
        basename $(readlink $device/iommu_group)`)
      const [driver = '', ...nodes] = output.trim().split('\n')
      assert.match(driver, /vfio-pci$/)
      const group = nodes.pop() ?? ''
      assert.ok(nodes.includes(group), output)
      return `group ${group}`
    })

    await test.check('nothing but notes in the kernel log', async () => {
      const dmesg = await guest.sh('dmesg -r')
      const bad = dmesg.split('\n').filter((line) => /^<[0-3]>/.test(line))
      assert.deepEqual(bad, [])
    })
  },
}
