/** ixy-ts in the guest on two virtual 82599s through VFIO and an IOMMU: as root, as an ordinary user, with interrupts. */
import assert from 'node:assert/strict'
import { breachesAreDocumented, reported } from '../harness/breaches.ts'
import { doctor } from '../harness/doctor-in-guest.ts'
import { type FarEnd, HostNetwork } from '../harness/host-network.ts'
import { RunningIxy, accessPaths, ixy, mixedFrames, passes } from '../harness/ixy-in-guest.ts'
import { PRODUCT_FOLDER } from '../harness/initramfs.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Started } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'
import { STRAY_DMA } from './stray-dma.ts'

const TAPS = ['ixytap0', 'ixytap1']
const HOST = '10.77.7.1'
const GUEST = '10.77.7.2'
const FRAMES = 20_000
const MAC_A = '02:00:00:00:00:0a'
const MAC_B = '02:00:00:00:00:0b'

/** The breach that STRAY_DMA commits. */
const STRAY = 'transmit buffer: DMA read outside the memory shared with the device (82599 §5.2.5)'

/** What all parts of the scenario work with. */
interface Bench {
  readonly test: ScenarioContext
  readonly guest: Guest
  readonly servers: readonly Started[]
  readonly farA: FarEnd
  readonly farB: FarEnd
  /** The cards' addresses and IOMMU groups. */
  readonly cards: readonly [Card, Card]
}

interface Card {
  readonly address: string
  readonly group: string
}

export const ixyVfio: Scenario = {
  name: 'ixy-vfio',
  deadline: 300,
  async run(test) {
    const bench = await setUp(test)
    await missing(bench)
    await asRoot(bench)
    await asUser(bench)
    await hugePages(bench.guest, 48)
    for (const mode of ['interrupt', 'adaptive']) await sleeps(bench, mode)
    await jumbo(bench)
    await sharedGroup(bench)
    await strayDma(bench)
  },
}

async function setUp(test: ScenarioContext): Promise<Bench> {
  const network = await HostNetwork.create(test, TAPS)
  await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
  const sockets = TAPS.map((tap) => test.socket(tap))
  const servers: Started[] = []
  for (const [i, socket] of sockets.entries()) {
    const args = [socket, '--wire', `tap=${TAPS[i]}`]
    servers.push(await startVnic(test, args, [socket], (command) => network.inside(command)))
  }
  const [socketA = '', socketB = ''] = sockets
  const guest = await test.boot({
    devices: [
      ...['-device', 'intel-iommu,caching-mode=on'],
      ...vnicDevice(socketA, 1),
      ...besideNeighbour(vnicDevice(socketB, 2)),
    ],
    kernelWords: 'intel_iommu=on',
  })
  const farA = await network.farEnd(TAPS[0])
  const farB = await network.farEnd(TAPS[1])
  await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 90)
  const script =
    'cd /sys/bus/pci/devices; for d in $(grep -l 0x10fb */device | cut -d/ -f1); do echo $d $(basename $(readlink $d/iommu_group)); done'
  const [a, b] = (await guest.sh(script))
    .trim()
    .split('\n')
    .map((line): Card => {
      const [address = '', group = ''] = line.split(' ')
      return { address, group }
    })
  assert.ok(a !== undefined && b !== undefined, 'the guest sees two 82599')
  return { test, guest, servers, farA, farB, cards: [a, b] }
}

/** Moves a NIC below a switch whose ports have no ACS, where it shares its IOMMU group with an e1000e. */
function besideNeighbour([option = '', port = '', , nic = '']: readonly string[]): string[] {
  const placed = { ...JSON.parse(nic), bus: 'shared', addr: '0.0', multifunction: true } as unknown
  const devices = [
    port,
    'x3130-upstream,id=switch,bus=port2',
    'xio3130-downstream,id=shared,bus=switch,chassis=9,slot=9',
    JSON.stringify(placed),
    'e1000e,bus=shared,addr=0.1,romfile=',
  ]
  return devices.flatMap((device) => [option, device])
}

const forward = ({ cards: [a, b] }: Bench): string => `forward ${a.address} ${b.address} --access vfio`

/** Runs `forward`, which has to fail with this exit code and these words. */
async function fails(bench: Bench, code: number, words: RegExp, as = 'root'): Promise<string> {
  const command = `node --single-threaded ${PRODUCT_FOLDER}/bin/ixy-ts ${forward(bench)} --duration 1`
  const answer = await bench.guest.shell(as === 'root' ? command : `su ${as} -s /bin/sh -c '${command}'`)
  assert.equal(answer.code, code, answer.output)
  assert.match(answer.output, words)
  return answer.output.trim().split('\n').at(-1) ?? ''
}

async function missing(bench: Bench): Promise<void> {
  const { test, guest, cards } = bench
  await test.check('without vfio-pci: the error names the module', () =>
    fails(bench, 4, /vfio-pci is not loaded.*modprobe vfio-pci.*IXY_ERR_NO_VFIO/s),
  )
  await test.check('doctor says the same, and all is well once its command was run', async () => {
    const ill = await doctor(guest, cards, 'root')
    assert.deepEqual([ill.code, ill.failing], [4, ['vfio-pci']], ill.output)
    const well = await doctor(guest, cards, 'root', ill.commands)
    assert.deepEqual([well.code, well.failing], [0, []], well.output)
    return ill.commands.join('; ')
  })
  await hugePages(guest, 48)
  await test.check('ixy-ts devices: access path vfio, IOMMU groups', async () => {
    const { code, output } = await ixy(guest, 'devices')
    assert.equal(code, 0, output)
    for (const { address, group } of cards)
      assert.match(output, new RegExp(`^${address} .* ixgbe .* ${group} +yes, by vfio$`, 'm'), output)
  })
}

/** The name of the driver that has the card. */
async function driverOf(guest: Guest, { address }: Card): Promise<string> {
  return (await guest.sh(`basename $(readlink /sys/bus/pci/devices/${address}/driver)`)).trim()
}

async function asRoot(bench: Bench): Promise<void> {
  const { test, guest, farA, farB, cards } = bench
  await test.check('without --access: VFIO; after a SIGKILL the cards are with vfio-pci', async () => {
    const killed = await RunningIxy.start(guest, `forward ${cards[0].address} ${cards[1].address}`)
    assert.deepEqual(accessPaths(await killed.everything()), ['vfio', 'vfio'])
    await killed.stop('KILL')
    for (const card of cards) assert.equal(await driverOf(guest, card), 'vfio-pci')
  })
  const running = await RunningIxy.start(guest, forward(bench))
  await test.check(`root: ${FRAMES} frames of 60 to 1514 bytes, a to b`, () =>
    passes(farA, farB, mixedFrames(MAC_B, MAC_A, FRAMES)),
  )
  await test.check('root: and b to a', () => passes(farB, farA, mixedFrames(MAC_A, MAC_B, 2000)))
  await test.check('root: SIGINT: exit 0, the kernel driver is back, its interface pings', async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
    for (const card of cards) assert.equal(await driverOf(guest, card), 'ixgbe')
    const name = (await guest.sh(`ls /sys/bus/pci/devices/${cards[0].address}/net`)).trim()
    const nic = new LinuxNic(guest, name)
    await nic.up(`${GUEST}/24`)
    await nic.ping(HOST, '-c 5 -i 0.1')
    await guest.sh(`ip addr flush dev ${name}; ip link set ${name} down`)
  })
}

async function asUser(bench: Bench): Promise<void> {
  const { test, guest, farA, farB, cards } = bench
  await hugePages(guest, 0)
  await guest.sh('chmod 666 /dev/vfio/vfio')
  const groups = cards.map(({ group }) => `/dev/vfio/${group}`)
  await test.check(
    'doctor, as a user: its commands bind the cards, open their groups, raise the limit',
    async () => {
      const ill = await doctor(guest, cards, 'user')
      assert.deepEqual([ill.code, ill.failing], [4, ['rights', 'memlock']], ill.output)
      const well = await doctor(guest, cards, 'user', ill.commands)
      assert.deepEqual([well.code, well.failing], [0, []], well.output)
      for (const card of cards) assert.equal(await driverOf(guest, card), 'vfio-pci')
      return ill.commands.join('; ')
    },
  )
  await guest.sh(`chown root ${groups.join(' ')}`)
  await test.check('user without rights: the error names the group', () =>
    fails(bench, 4, new RegExp(`${groups[0]}.*chown.*IXY_ERR_PERMISSION`, 's'), 'user'),
  )
  await guest.sh(`chown user ${groups.join(' ')}`)
  await test.check('user with little locked memory: the error names the limit', () =>
    fails(bench, 4, /may lock 8192 KiB.*ulimit -l.*IXY_ERR_MEMLOCK/s, 'user'),
  )
  const running = await RunningIxy.start(guest, forward(bench), 'user')
  await test.check(`user: ${FRAMES} frames of 60 to 1514 bytes, a to b`, () =>
    passes(farA, farB, mixedFrames(MAC_B, MAC_A, FRAMES)),
  )
  await test.check('user: SIGINT: exit 0', async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
  })
}

/**
 * In pages of 4 KiB instead, the IOMMU takes some 2,000 mappings (with --mtu 9000: 33,000), each a message between QEMU
 * and the cards.
 */
async function hugePages(guest: Guest, count: number): Promise<void> {
  await guest.sh(`echo ${count} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`)
}

/** Share of a core that a process has used over some seconds, from its clock ticks of 10 ms. */
async function load(guest: Guest, pid: number, seconds: number): Promise<number> {
  const read = `sed 's/.*) //' /proc/${pid}/stat | awk '{print $12 + $13}'`
  const output = await guest.sh(
    `a=$(${read}); s=$(cut -d' ' -f1 /proc/uptime); sleep ${seconds}; b=$(${read}); echo $s $(cut -d' ' -f1 /proc/uptime) $a $b`,
  )
  const [from = 0, to = 0, before = 0, after = 0] = output.trim().split(' ').map(Number)
  return (after - before) / 100 / (to - from)
}

async function sleeps(bench: Bench, mode: string): Promise<void> {
  const { test, guest, farA, farB } = bench
  const running = await RunningIxy.start(guest, `${forward(bench)} --mode ${mode} --interval 10`)
  const frames = mixedFrames(MAC_B, MAC_A, 4000)
  await test.check(`--mode ${mode}: frames in bursts of 1 to 400, with rests between`, async () => {
    for (let first = 0, size = 1; first < 2000; first += size, size = (size * 7) % 401) {
      await passes(farA, farB, frames.slice(first, first + size))
      await passes(farB, farA, frames.slice(first, first + 1))
    }
  })
  await test.check(`--mode ${mode}: idle, it uses less than 3 % of a core`, async () => {
    // A busy host takes time from the guest that the guest counts as used: the least is the nearest to the truth.
    let share = 1
    for (let attempt = 0; attempt < 10 && share >= 0.03; attempt++)
      share = Math.min(share, await load(guest, running.pid, 2))
    assert.ok(share < 0.03, `${(share * 100).toFixed(1)} %`)
    return `${(share * 100).toFixed(1)} %`
  })
  await test.check(`--mode ${mode}: and then forwards the first packet at once`, async () => {
    const started = performance.now()
    await passes(farA, farB, frames.slice(0, 1))
    await passes(farB, farA, frames.slice(1, 2))
    return `both ways ${(performance.now() - started).toFixed(0)} ms`
  })
  await test.check(`--mode ${mode}: under load`, () => passes(farA, farB, frames))
  await test.check(`--mode ${mode}: SIGINT: exit 0`, async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
  })
}

async function jumbo(bench: Bench): Promise<void> {
  const { test, guest, farA, farB } = bench
  const running = await RunningIxy.start(guest, `${forward(bench)} --mtu 9000`)
  await test.check('--mtu 9000: frames of 60 to 9014 bytes', async () => {
    const full = Array.from({ length: 100 }, (_, i) => Buffer.alloc(9014, i))
    for (const frame of full) frame.write(`${MAC_B}${MAC_A}88b5`.replaceAll(':', ''), 'hex')
    await passes(farA, farB, full, 50)
    await passes(farA, farB, mixedFrames(MAC_B, MAC_A, 1000, 9014), 50)
  })
  await test.check('--mtu 9000: SIGINT: exit 0', async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
  })
}

async function sharedGroup(bench: Bench): Promise<void> {
  const { test, guest, cards } = bench
  await guest.sh('load e1000e')
  const neighbour = cards[1].address.replace(/0$/, '1')
  await test.check('another device in the group: the error names it', () =>
    fails(bench, 4, new RegExp(`group ${cards[1].group} .*${neighbour} \\(e1000e\\).*IXY_ERR_NO_VFIO`, 's')),
  )
}

async function strayDma(bench: Bench): Promise<void> {
  const { test, guest, farA, cards, servers } = bench
  await test.check('a DMA to memory that VFIO has not mapped does not happen', async () => {
    await farA.collect()
    const script = Buffer.from(STRAY_DMA).toString('base64')
    const output = await guest.sh(
      `echo ${script} | base64 -d >/tmp/stray.cjs
       NODE_PATH=${PRODUCT_FOLDER}/node_modules node --single-threaded /tmp/stray.cjs ${cards[0].address} ${cards[0].group}`,
    )
    assert.equal(output, 'both sent\n')
    const frames = await farA.collect()
    assert.deepEqual(
      frames.map((frame) => frame.toString('latin1', 14, 20)),
      ['mapped'],
    )
  })
  await test.check('nothing wrong in the kernel log', () => assertNoDisaster(new LinuxNic(guest)))
  await guest.stop()
  await test.check('the stray DMA is a breach in the report of its card, and of no other', async () => {
    const nics = (await Promise.all(servers.map(reported))).flat()
    assert.deepEqual(
      nics.map(({ breaches }) => breaches.some(({ rule }) => rule === STRAY)),
      [true, false],
    )
  })
  await breachesAreDocumented(test, servers, { provoked: STRAY })
}
