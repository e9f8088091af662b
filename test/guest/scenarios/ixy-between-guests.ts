/**
 * ixy-ts in one guest, Linux's ixgbe in two others, virtual 82599s and cables between them: pktgen to Linux, then TCP
 * from Linux to Linux and from Linux to a TAP of the host, each through a forwarder in a guest.
 */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { GENERATED, receivesGenerated } from '../harness/generated.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { RunningIxy, ixy, nothingDropped } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Started } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { type HostEnd, guestToGuest, guestToHost, hostToGuest } from '../harness/tcp.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.8.1'
const LINUX = ['10.77.8.2', '10.77.8.3'] as const
const MEGABYTES = 20

/** The forwarder's cards: to the first Linux, to the second, to the TAP. */
const CARDS = ['0000:01:00.0', '0000:02:00.0', '0000:03:00.0'] as const

export const ixyBetweenGuests: Scenario = {
  name: 'ixy-between-guests',
  deadline: 240,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const { servers, cards, forwarder, first, second } = await cabled(test, network)
    await test.check(`pktgen to Linux, guest to guest: ${GENERATED}`, () =>
      receivesGenerated(first, LINUX[0], (options) =>
        ixy(forwarder, `pktgen ${CARDS[0]} --src-ip ${HOST} ${options.join(' ')}`),
      ),
    )
    await forwards(test, forwarder, CARDS[1], async () => {
      await test.check('Linux reaches Linux through the forwarder', () => first.ping(LINUX[1]))
      await test.check(`${MEGABYTES} MB over TCP, Linux - forwarder - Linux`, () =>
        guestToGuest(first.guest, second.guest, LINUX[1], MEGABYTES),
      )
    })
    const host: HostEnd = { test, network, address: HOST }
    await forwards(test, forwarder, CARDS[2], async () => {
      await test.check('Linux reaches the TAP through the forwarder', () => first.ping(HOST))
      await test.check(`${MEGABYTES} MB over TCP, Linux - forwarder - TAP`, () =>
        guestToHost(first.guest, host, MEGABYTES),
      )
      await test.check(`and ${MEGABYTES} MB, TAP - forwarder - Linux`, () =>
        hostToGuest(first.guest, host, MEGABYTES),
      )
    })
    for (const nic of [first, second])
      await test.check(`${nic.guest.name}: no transmit hang`, () => assertNoDisaster(nic))
    for (const guest of [forwarder, first.guest, second.guest]) await guest.stop()
    await breachesAreDocumented(test, servers, { own: cards })
  },
}

interface Cabled {
  readonly servers: readonly Started[]
  /** The sockets of the forwarder's cards. */
  readonly cards: readonly string[]
  readonly forwarder: Guest
  readonly first: LinuxNic
  readonly second: LinuxNic
}

/** Boots the three guests, joined by cables. */
async function cabled(test: ScenarioContext, network: HostNetwork): Promise<Cabled> {
  const ends = LINUX.map((_, i) => [test.socket(`linux${i}`), test.socket(`card${i}`)] as const)
  const servers: Started[] = []
  for (const cable of ends) servers.push(await startVnic(test, cable, cable))
  const tap = test.socket('card2')
  const onTap = [tap, '--wire', `tap=${network.tap}`]
  servers.push(await startVnic(test, onTap, [tap], (command) => network.inside(command)))
  const cards = [...ends.map(([, card]) => card), tap]
  const [forwarder, ...linux] = await Promise.all([
    test.boot({
      name: `${test.name}-forwarder`,
      devices: cards.flatMap((socket, i) => vnicDevice(socket, i + 1)),
    }),
    ...ends.map(([socket], i) =>
      test.boot({ name: `${test.name}-linux${i}`, devices: vnicDevice(socket), cpus: 1, megabytes: 768 }),
    ),
  ])
  const [first, second] = linux.map((guest) => new LinuxNic(guest))
  assert.ok(first !== undefined && second !== undefined, 'two Linux guests')
  await test.require('ixgbe in two guests, three cards without a driver in the third', async () => {
    await Promise.all([
      ...[first, second].map(async (nic, i) => {
        await nic.guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 90)
        await nic.up(`${LINUX[i]}/24`)
      }),
      forwarder.sh(
        `echo 16 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
         mount -t hugetlbfs hugetlbfs /dev/hugepages`,
      ),
    ])
    const found = await forwarder.sh('cd /sys/bus/pci/devices; grep -l 0x10fb */device | cut -d/ -f1')
    assert.deepEqual(found.trim().split('\n'), CARDS)
  })
  return { servers, cards, forwarder, first, second }
}

/** Forwards between the first card and `other` while `body` runs. */
async function forwards(
  test: ScenarioContext,
  guest: Guest,
  other: string,
  body: () => Promise<void>,
): Promise<void> {
  const running = await RunningIxy.start(guest, `forward ${CARDS[0]} ${other}`)
  await body()
  await test.check('SIGINT: exit 0, nothing dropped by the driver', async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
    return nothingDropped(output)
  })
}
