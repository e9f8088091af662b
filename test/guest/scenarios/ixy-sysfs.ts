/** ixy-ts in the guest on two virtual 82599s, through sysfs and huge pages, with Linux's ixgbe before and after. */
import assert from 'node:assert/strict'
import { type FarEnd, HostNetwork } from '../harness/host-network.ts'
import { RunningIxy, ixy, mixedFrames, passes } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const TAPS = ['ixytap0', 'ixytap1']
const HOST = '10.77.5.1'
const GUEST = '10.77.5.2'
const FRAMES = 20_000

/** Fills every huge page that is still free and watches that nobody else writes to it, until SIGTERM. */
const WATCHER = `
const koffi = require('koffi')
const libc = koffi.load('libc.so.6')
const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)')
const fs = require('fs')
const free = Number(fs.readFileSync('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', 'utf8'))
const bytes = free * (2 << 20)
const words = new BigUint64Array(koffi.view(mmap(null, bytes, 3, 0x40022, -1, 0), bytes))
words.fill(0x5aa5f00fc33c9669n)
fs.writeFileSync('/tmp/watcher.ready', String(free))
process.on('SIGTERM', () => {
  let changed = 0
  for (const word of words) if (word !== 0x5aa5f00fc33c9669n) changed++
  fs.writeFileSync('/tmp/watcher.result', free + ' pages, ' + changed + ' words changed')
  process.exit(0)
})
setInterval(() => {}, 1000)
`

export const ixySysfs: Scenario = {
  name: 'ixy-sysfs',
  deadline: 300,
  async run(test) {
    const network = await HostNetwork.create(test, TAPS)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const sockets = TAPS.map((tap) => test.socket(tap))
    for (const [i, socket] of sockets.entries()) {
      await startVnic(test, [socket, '--wire', `tap=${TAPS[i]}`], [socket], (command) =>
        network.inside(command),
      )
    }
    const guest = await test.boot({ devices: sockets.flatMap((socket, i) => vnicDevice(socket, i + 1)) })
    const nic = new LinuxNic(guest)
    const [a, b] = await pciAddresses(guest)

    await test.require("the kernel's ixgbe has both NICs", async () => {
      await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 90)
      await guest.sh('echo 64 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')
      await guest.sh('mount -t hugetlbfs hugetlbfs /dev/hugepages')
      assert.equal((await guest.sh('ls /sys/bus/pci/drivers/ixgbe | grep -c ^0000')).trim(), '2')
    })
    await test.check('ixy-ts devices lists both', async () => {
      const { code, output } = await ixy(guest, 'devices')
      assert.equal(code, 0, output)
      for (const address of [a, b]) assert.ok(output.includes(address), output)
      assert.match(output, /82599/)
      assert.match(output, /ixgbe/)
    })
    await refusal(test, nic, a, b)
    const far = await Promise.all(TAPS.map((tap) => network.farEnd(tap)))
    await forwards(test, nic, a, b, far)
    await killed(test, guest, a, b, far)
    await test.check('nothing wrong in the kernel log', () => assertNoDisaster(nic))
  },
}

async function pciAddresses(guest: Guest): Promise<[string, string]> {
  const script = 'cd /sys/bus/pci/devices; grep -l 0x10fb */device | cut -d/ -f1'
  const [a, b] = (await guest.sh(script)).trim().split('\n')
  assert.ok(a !== undefined && b !== undefined, 'the guest sees two 82599')
  return [a, b]
}

async function refusal(test: ScenarioContext, nic: LinuxNic, a: string, b: string): Promise<void> {
  const { guest } = nic
  await nic.up(`${GUEST}/24`)
  await test.check('a NIC in use is refused', async () => {
    const { code, output } = await ixy(guest, `forward ${a} ${b} --access sysfs --duration 1`)
    assert.equal(code, 3, output)
    assert.match(output, /IXY_ERR_DEVICE_IN_USE/)
    await nic.ping(HOST, '-c 3 -i 0.1')
  })
  await test.check('and taken with --force', async () => {
    const { code, output } = await ixy(guest, `forward ${a} ${b} --access sysfs --duration 1 --force`)
    assert.equal(code, 0, output)
    await boundAgain(nic, a)
  })
}

/** After ixy-ts has ended: the kernel driver is back, its interface too, and it works. */
async function boundAgain(nic: LinuxNic, address: string): Promise<void> {
  const driver = await nic.guest.sh(`readlink /sys/bus/pci/devices/${address}/driver`)
  assert.match(driver, /\/ixgbe$/m)
  const name = (await nic.guest.sh(`ls /sys/bus/pci/devices/${address}/net`)).trim()
  const back = new LinuxNic(nic.guest, name)
  await back.up(`${GUEST}/24`)
  await back.ping(HOST, '-c 5 -i 0.1')
  await nic.guest.sh(`ip addr flush dev ${name}; ip link set ${name} down`)
}

async function forwards(
  test: ScenarioContext,
  nic: LinuxNic,
  a: string,
  b: string,
  [farA, farB]: readonly FarEnd[],
): Promise<void> {
  if (farA === undefined || farB === undefined) throw new Error('two far ends')
  const running = await RunningIxy.start(nic.guest, `forward ${a} ${b} --access sysfs`)
  const frames = mixedFrames('02:00:00:00:00:0b', '02:00:00:00:00:0a', FRAMES)
  await test.check(`${FRAMES} frames of 60 to 1514 bytes, a to b`, () => passes(farA, farB, frames))
  await test.check('and b to a', () => passes(farB, farA, frames.slice(0, 2000)))
  await test.check('SIGINT: exit 0, the kernel driver is back, its interface pings', async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
    await boundAgain(nic, a)
  })
}

async function killed(
  test: ScenarioContext,
  guest: Guest,
  a: string,
  b: string,
  [farA, farB]: readonly FarEnd[],
): Promise<void> {
  if (farA === undefined || farB === undefined) throw new Error('two far ends')
  const frames = mixedFrames('02:00:00:00:00:0b', '02:00:00:00:00:0a', 1000)
  const first = await RunningIxy.start(guest, `forward ${a} ${b} --access sysfs`)
  await farA.send(frames.slice(0, 500))
  await first.stop('KILL')
  await test.check('after a SIGKILL the card writes into no page that someone else got', async () => {
    const script = Buffer.from(WATCHER).toString('base64')
    await guest.sh(
      `cd /opt/ixy-ts && echo ${script} | base64 -d >/tmp/watcher.cjs
       (NODE_PATH=/opt/ixy-ts/node_modules node /tmp/watcher.cjs >/tmp/watcher.log 2>&1 & echo $! >/tmp/watcher.pid)
       until [ -s /tmp/watcher.ready ]; do usleep 50000; done`,
    )
    for (let round = 0; round < 10; round++) await farA.send(frames.slice(0, 200))
    await guest.sh(
      'kill -TERM $(cat /tmp/watcher.pid); until [ -s /tmp/watcher.result ]; do usleep 50000; done',
    )
    const result = (await guest.sh('cat /tmp/watcher.result')).trim()
    assert.match(result, /^[1-9]\d* pages, 0 words changed$/)
    return result
  })
  await test.check('the next start resets the card and forwards again', async () => {
    const again = await RunningIxy.start(guest, `forward ${a} ${b} --access sysfs`)
    await passes(farA, farB, frames)
    const { code, output } = await again.stop()
    assert.equal(code, 0, output)
  })
}
