/** Frame by frame: which the model delivers, to which queue, and what it counts. The judge is again Linux's ixgbe. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { arpRequest, ethernet, experimental, ipPacket, isArp } from '../harness/frames.ts'
import { type FarEnd, HostNetwork } from '../harness/host-network.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { until } from '../harness/processes.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'
import { flowDirector } from './linux-flows.ts'
import { MICROSOFT_KEY, VECTORS } from './toeplitz-vectors.ts'

const FAR_MAC = '02:00:00:00:00:01'
const FAR_ADDRESS = '10.77.1.1'
const GUEST_ADDRESS = '10.77.1.2'
const QUEUES = 4
/** The ARP request that growth() adds: one broadcast of 60 bytes, on queue 0. */
const ARP = { frames: 1, bytes: 60 }

export const linuxFrames: Scenario = {
  name: 'linux-frames',
  deadline: 180,
  async run(test) {
    const network = await HostNetwork.create(test)
    const socket = test.socket('nic')
    const server = await startVnic(test, [socket, '--wire', `tap=${network.tap}`], [socket], (command) =>
      network.inside(command),
    )
    const guest = await test.boot({ devices: vnicDevice(socket), cpus: QUEUES })
    const nic = new LinuxNic(guest)
    await test.require('ixgbe runs with as many queues as processors, link up', async () => {
      await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 60)
      await nic.up(`${GUEST_ADDRESS}/24`)
      const queues = await guest.sh(`ls -d /sys/class/net/${nic.name}/queues/rx-* | wc -l`)
      assert.equal(Number(queues), QUEUES)
    })
    const farEnd = await network.farEnd()

    await filters(test, nic, farEnd)
    await receiveSideScaling(test, nic, farEnd)
    await countersEqualTheWire(test, nic, farEnd)
    await flowDirector({
      ...{ test, nic, farEnd, queues: QUEUES, key: MICROSOFT_KEY },
      ...{ farMac: FAR_MAC, farAddress: FAR_ADDRESS, address: GUEST_ADDRESS },
      growth: (frames) => growth(nic, farEnd, frames),
    })
    await test.check('no transmit hang, no kernel complaint', () => assertNoDisaster(nic))
    await guest.stop()
    await breachesAreDocumented(test, [server])
  },
}

/** Sends the frames, then an ARP request; returns how much each counter has grown once all of it is in the guest. */
async function growth(
  nic: LinuxNic,
  farEnd: FarEnd,
  frames: readonly Uint8Array[],
): Promise<Map<string, number>> {
  const before = await nic.counters()
  await farEnd.collect()
  await farEnd.send([...frames, arpRequest(FAR_MAC, FAR_ADDRESS, GUEST_ADDRESS)])
  // The wire and the card keep the order: once the guest answers, everything before has been delivered or dropped.
  await until('the guest answers the ARP request', 20, async () => (await farEnd.collect()).some(isArp))
  let grown = new Map<string, number>()
  await until('the driver has taken all that the card counted', 20, async () => {
    const after = await nic.counters()
    grown = new Map([...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)]))
    return grown.get('rx_packets') === grown.get('rx_pkts_nic')
  })
  return grown
}

/** How many of `frames` were delivered to the host. */
async function delivered(nic: LinuxNic, farEnd: FarEnd, frames: readonly Uint8Array[]): Promise<number> {
  return ((await growth(nic, farEnd, frames)).get('rx_packets') ?? 0) - ARP.frames
}

async function filters(test: ScenarioContext, nic: LinuxNic, farEnd: FarEnd): Promise<void> {
  const { guest } = nic
  const mac = await nic.mac()
  const to = (address: string): Buffer[] =>
    Array.from({ length: 5 }, () => experimental(address, FAR_MAC, 100))
  const expect = (what: string, address: string, count: number): Promise<boolean> =>
    test.check(what, async () => assert.equal(await delivered(nic, farEnd, to(address)), count))

  await expect('its own address is delivered', mac, 5)
  await expect('a broadcast is delivered', 'ff:ff:ff:ff:ff:ff', 5)
  await expect('a frame for another address is not', '02:00:00:00:00:77', 0)
  await expect('a multicast that nobody joined is not', '33:33:00:12:34:56', 0)

  await guest.sh(`ip maddress add 01:00:5e:01:02:03 dev ${nic.name}`)
  await expect('a multicast that was joined is', '01:00:5e:01:02:03', 5)
  await guest.sh(`ip maddress del 01:00:5e:01:02:03 dev ${nic.name}`)
  await expect('nor is it after leaving', '01:00:5e:01:02:03', 0)

  await guest.sh(`ip link set ${nic.name} allmulticast on`)
  await expect('all-multicast: any multicast is delivered', '33:33:00:12:34:56', 5)
  await expect('all-multicast: a frame for another address is not', '02:00:00:00:00:77', 0)
  await guest.sh(`ip link set ${nic.name} allmulticast off promisc on`)
  await expect('promiscuous: a frame for another address is delivered', '02:00:00:00:00:77', 5)
  await guest.sh(`ip link set ${nic.name} promisc off`)
  await expect('and no longer when switched off', '02:00:00:00:00:77', 0)
}

async function receiveSideScaling(test: ScenarioContext, nic: LinuxNic, farEnd: FarEnd): Promise<void> {
  const { guest } = nic
  const mac = await nic.mac()
  await test.check('RSS key and table can be set', async () => {
    await guest.sh(`ethtool -X ${nic.name} hkey ${MICROSOFT_KEY.match(/../g)?.join(':')} equal ${QUEUES}`)
    const shown = await guest.sh(`ethtool -x ${nic.name}`)
    assert.ok(shown.replaceAll(':', '').includes(MICROSOFT_KEY), shown)
  })
  for (const ports of [true, false]) {
    const kind = ports ? 'TCP' : 'IP only'
    await test.check(
      `RSS, ${kind}: Microsoft's vectors land on the queue that their hash names`,
      async () => {
        for (const vector of VECTORS) {
          const { type, payload } = ipPacket(vector, ports ? 'tcp' : 'experiment')
          const frame = ethernet(mac, FAR_MAC, type, payload)
          const grown = await growth(nic, farEnd, [frame, frame, frame])
          const queue = ((ports ? vector.hashWithPorts : vector.hash) & 127) % QUEUES
          const counts = Array.from({ length: QUEUES }, (_, i) => grown.get(`rx_queue_${i}_packets`) ?? 0)
          counts[0] = (counts[0] ?? 0) - ARP.frames // not IP: queue 0
          const expected = Array.from({ length: QUEUES }, (_, i) => (i === queue ? 3 : 0))
          assert.deepEqual(counts, expected, `${vector.from} to ${vector.to}: packets by queue`)
        }
        return `${VECTORS.length} flows`
      },
    )
  }
}

async function countersEqualTheWire(test: ScenarioContext, nic: LinuxNic, farEnd: FarEnd): Promise<void> {
  const { guest } = nic
  const mac = await nic.mac()
  await test.check('received: packets and bytes as sent, by kind', async () => {
    const frames: Buffer[] = []
    for (let i = 0; i < 60; i++) frames.push(experimental(mac, FAR_MAC, 60 + i * 24))
    for (let i = 0; i < 7; i++) frames.push(experimental('ff:ff:ff:ff:ff:ff', FAR_MAC, 200))
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0) + ARP.bytes
    const count = frames.length + ARP.frames
    const grown = await growth(nic, farEnd, frames)
    const pick = (name: string): number | undefined => grown.get(name)
    assert.equal(pick('rx_packets'), count)
    assert.equal(pick('rx_pkts_nic'), count)
    assert.equal(pick('rx_bytes'), bytes)
    assert.equal(pick('rx_bytes_nic'), bytes + 4 * count, 'the card counts the FCS too')
    assert.equal(pick('rx_broadcast') ?? pick('broadcast'), 7 + ARP.frames)
    return `${count} frames, ${bytes} bytes`
  })
  await test.check('sent: packets and bytes as the wire got them', async () => {
    await guest.sh(`ip neigh replace ${FAR_ADDRESS} lladdr ${FAR_MAC} dev ${nic.name}`)
    await farEnd.collect()
    const before = await nic.counters()
    for (const size of [10, 100, 700, 1472]) {
      await guest.shell(`ping -q -c 25 -i 0.002 -W 1 -s ${size} ${FAR_ADDRESS}`, 30)
    }
    const frames: Buffer[] = []
    await until('100 frames at the far end', 20, async () => frames.push(...(await farEnd.collect())) >= 100)
    const after = await nic.counters()
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0)
    assert.equal(frames.length, 100)
    assert.equal(grown('tx_packets'), 100)
    assert.equal(grown('tx_pkts_nic'), 100)
    assert.equal(grown('tx_bytes_nic'), bytes + 4 * 100)
    return `${frames.length} frames, ${bytes} bytes`
  })
}
