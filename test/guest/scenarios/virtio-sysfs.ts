/** ixy-ts in the guest on QEMU's own cards, through sysfs and huge pages: virtio, legacy and modern. */
import assert from 'node:assert/strict'
import { arpRequest, isArp } from '../harness/frames.ts'
import { RunningIxy, accessPaths, ixy, mixedFrames, nothingDropped, passes } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { until } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { StreamEnd } from '../harness/stream-end.ts'

const FRAMES = 20_000
const [MAC_A, MAC_B] = ['02:00:00:00:00:0a', '02:00:00:00:00:0b']
const [HOST, GUEST] = ['10.77.9.1', '10.77.9.2']

/** Legacy registers are I/O ports, and the card is no PCIe endpoint; modern ones are behind a root port. */
const LEGACY = '0000:00:05.0'
const MODERN = '0000:01:00.0'

interface Bench {
  readonly test: ScenarioContext
  readonly guest: Guest
  readonly farA: StreamEnd
  readonly farB: StreamEnd
}

export const virtioSysfs: Scenario = {
  name: 'virtio-sysfs',
  deadline: 240,
  async run(test) {
    const bench = await setUp(test)
    const { guest } = bench
    await listed(bench)
    await forwards(bench)
    await killed(bench)
    await test.check('nothing wrong in the kernel log', () => assertNoDisaster(new LinuxNic(guest)))
  },
}

async function setUp(test: ScenarioContext): Promise<Bench> {
  const farA = await StreamEnd.create(test, 'a')
  const farB = await StreamEnd.create(test, 'b')
  const guest = await test.boot({
    devices: [
      ...['-device', 'pcie-root-port,id=port1,slot=1'],
      ...[
        '-netdev',
        withId('a', farA),
        '-device',
        'virtio-net-pci,netdev=a,addr=5,disable-modern=on,romfile=',
      ],
      ...['-netdev', withId('b', farB), '-device', 'virtio-net-pci,netdev=b,bus=port1,romfile='],
    ],
  })
  await guest.sh(
    `echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
     load virtio_net
     echo 32 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
     mount -t hugetlbfs hugetlbfs /dev/hugepages`,
    90,
  )
  return { test, guest, farA, farB }
}

const withId = (id: string, { netdev }: StreamEnd): string => netdev.replace(',', `,id=${id},`)

async function listed({ test, guest }: Bench): Promise<void> {
  await test.check('ixy-ts devices lists both: model, driver, usable through sysfs', async () => {
    const { code, output } = await ixy(guest, 'devices --json')
    assert.equal(code, 0, output)
    const found = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      found.map((nic) => [nic['address'], nic['driver'], nic['access'], nic['usable'], nic['reason']]),
      [
        [LEGACY, 'virtio-pci', 'sysfs', true, null],
        [MODERN, 'virtio-pci', 'sysfs', true, null],
      ],
    )
    return found.map((nic) => nic['model']).join(', ')
  })
  await test.check('a card that the kernel uses is refused', async () => {
    const name = await interfaceOf(guest, LEGACY)
    await guest.sh(`ip address add ${GUEST}/24 dev ${name}; ip link set ${name} up`)
    const { code, output } = await ixy(guest, `forward ${LEGACY} ${MODERN} --duration 1`)
    await guest.sh(`ip address flush dev ${name}; ip link set ${name} down`)
    assert.equal(code, 3, output)
    assert.match(output, /IXY_ERR_DEVICE_IN_USE/)
  })
}

async function interfaceOf(guest: Guest, address: string): Promise<string> {
  return (await guest.sh(`ls /sys/bus/pci/devices/${address}/virtio*/net`)).trim()
}

/** The kernel's driver has the card again and it works. */
async function boundAgain({ guest }: Bench, address: string, far: StreamEnd): Promise<void> {
  const driver = await guest.sh(`readlink /sys/bus/pci/devices/${address}/driver`)
  assert.match(driver, /\/virtio-pci$/m)
  const name = await interfaceOf(guest, address)
  await guest.sh(`ip address add ${GUEST}/24 dev ${name}; ip link set ${name} up`)
  await far.collect()
  await far.send([arpRequest(MAC_A, HOST, GUEST)])
  await until('Linux answers', 10, async () => (await far.collect()).some(isArp))
  await guest.sh(`ip address flush dev ${name}; ip link set ${name} down`)
}

async function forwards(bench: Bench): Promise<void> {
  const { test, guest, farA, farB } = bench
  const running = await RunningIxy.start(guest, `forward ${LEGACY} ${MODERN}`)
  const frames = mixedFrames(MAC_B, MAC_A, FRAMES)
  await test.check(`${FRAMES} frames of 60 to 1514 bytes, legacy to modern`, () => passes(farA, farB, frames))
  await test.check('and modern to legacy', () => passes(farB, farA, frames.slice(0, 5000)))
  await test.check("SIGINT: exit 0, nothing lost, the kernel's driver is back and works", async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
    assert.deepEqual(accessPaths(output), ['sysfs', 'sysfs'])
    const dropped = nothingDropped(output)
    await boundAgain(bench, LEGACY, farA)
    await boundAgain(bench, MODERN, farB)
    return dropped
  })
}

/** What is under way has come out. */
async function quiet(far: StreamEnd): Promise<void> {
  let since = performance.now()
  await until('the wire is quiet', 30, async () => {
    if ((await far.collect()).length > 0) since = performance.now()
    return performance.now() - since > 1000
  })
}

async function killed(bench: Bench): Promise<void> {
  const { test, guest, farA, farB } = bench
  const first = await RunningIxy.start(guest, `forward ${LEGACY} ${MODERN}`)
  const frames = mixedFrames(MAC_B, MAC_A, 1000)
  await test.check('SIGKILL under load; the next start resets the cards and forwards', async () => {
    // QEMU takes the last of them when there are buffers again.
    const load = farA.send(frames)
    await first.stop('KILL')
    const again = await RunningIxy.start(guest, `forward ${LEGACY} ${MODERN}`)
    const left = `ls /dev/hugepages | grep -c ^ixy-ts-${first.pid}-`
    assert.equal((await guest.shell(left)).output, '0\n')
    await load
    await quiet(farB)
    await passes(farA, farB, frames)
    await passes(farB, farA, frames)
    const { code, output } = await again.stop()
    assert.equal(code, 0, output)
  })
  await test.check("and gives both back to the kernel's driver", async () => {
    await boundAgain(bench, LEGACY, farA)
    await boundAgain(bench, MODERN, farB)
  })
}
