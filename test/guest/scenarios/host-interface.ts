/**
 * A guest that has given its card to ixy-ts reaches the network through it nevertheless: `forward <card> tap:<interface>` puts its own
 * stack behind our driver. Linux's ixgbe is at the other end of the cable.
 */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { inGuest, stream } from '../harness/iperf3.ts'
import { RunningIxy, nothingDropped } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario } from '../harness/scenario.ts'
import { guestToGuest } from '../harness/tcp.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const CARD = '0000:01:00.0'
const TAP = 'ix0'
/** The guest with ixy-ts, and the one with Linux's driver. */
const V4 = ['10.77.14.1', '10.77.14.2'] as const
const V6 = ['fd77:14::1', 'fd77:14::2'] as const
const MEGABYTES = 10
const MTU = 9000

export const hostInterface: Scenario = {
  name: 'host-interface',
  deadline: 240,
  async run(test) {
    const [ours, theirs] = [test.socket('ixy'), test.socket('linux')]
    const server = await startVnic(test, [ours, theirs], [ours, theirs])
    const [guest, linux] = await Promise.all([
      test.boot({ name: `${test.name}-ixy`, devices: vnicDevice(ours) }),
      test.boot({ name: `${test.name}-linux`, devices: vnicDevice(theirs), cpus: 1, megabytes: 768 }),
    ])
    const nic = new LinuxNic(linux)
    await test.require('Linux’s ixgbe in one guest, a card without a driver in the other', async () => {
      await linux.sh('load ixgbe', 90)
      await nic.up(`${V4[1]}/24`)
      await linux.sh(`ip addr add ${V6[1]}/64 dev ${nic.name} nodad; ip link set ${nic.name} mtu ${MTU}`)
      await guest.sh(
        `load tun
         echo 48 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
         mount -t hugetlbfs hugetlbfs /dev/hugepages`,
      )
    })
    for (const mtu of [1500, MTU]) {
      const running = await RunningIxy.start(guest, `forward ${CARD} tap:${TAP} --mtu ${mtu}`)
      await guest.sh(
        `ip link set ${TAP} mtu ${mtu} up
         ip addr add ${V4[0]}/24 dev ${TAP}
         ip addr add ${V6[0]}/64 dev ${TAP} nodad`,
      )
      // Its link was down while our card was reset, and what it asked for by then counts as unreachable for a moment.
      for (const address of [V4[0], V6[0]])
        await linux.sh(
          `i=0; until ping -q -c 1 -W 1 ${address} >/dev/null; do i=$((i + 1)); [ $i -lt 20 ] || exit 1; sleep 1; done`,
          90,
        )
      await test.check(`MTU ${mtu}: Linux reaches the stack behind our driver, IPv4 and IPv6`, async () => {
        await nic.ping(V4[0], `-c 20 -i 0.02 -M do -s ${mtu - 28}`)
        await nic.ping(V6[0], `-c 20 -i 0.02 -M do -s ${mtu - 48}`)
      })
      await test.check(`MTU ${mtu}: ${MEGABYTES} MB over TCP from Linux`, () =>
        guestToGuest(linux, guest, V4[0], MEGABYTES),
      )
      await test.check(`MTU ${mtu}: and to Linux, in segments that the tap has cut`, async () => {
        assert.match(await guest.sh(`ethtool -k ${TAP}`), /^tcp-segmentation-offload: on$/m)
        return guestToGuest(guest, linux, V4[1], MEGABYTES)
      })
      await test.check(`MTU ${mtu}: the same over IPv6`, () => overIpv6(guest, linux))
      await test.check(`MTU ${mtu}: SIGINT: exit 0, nothing dropped, the interface is gone`, async () => {
        const { code, output } = await running.stop()
        assert.equal(code, 0, output)
        assert.equal((await guest.shell(`ip link show ${TAP}`)).code, 1)
        return nothingDropped(output)
      })
    }
    await test.check('no packet with a wrong checksum at either end', async () => {
      for (const end of [guest, linux]) assert.deepEqual(await checksumErrors(end), [])
      await assertNoDisaster(nic)
    })
    for (const one of [guest, linux]) await one.stop()
    await breachesAreDocumented(test, [server], { own: [ours] })
  },
}

async function overIpv6(guest: Guest, linux: Guest): Promise<string> {
  await linux.sh('pidof iperf3 >/dev/null || iperf3 -s -D')
  const rates: string[] = []
  for (const direction of [[], ['-R']]) {
    const options = ['-6', '-c', V6[1], '-n', `${MEGABYTES}M`, ...direction]
    const { bytes, bits_per_second } = await stream(inGuest(guest, 90), ...options)
    assert.ok(bytes > MEGABYTES * 0.9e6, `${bytes} bytes`)
    rates.push(`${(bits_per_second / 1e6).toFixed(0)} Mbit/s`)
  }
  return rates.join(', back ')
}

/** Counters of the stack that say that a checksum was wrong, and aren't 0. */
async function checksumErrors(guest: Guest): Promise<string[]> {
  const lines = (await guest.sh('cat /proc/net/snmp /proc/net/netstat /proc/net/snmp6')).split('\n')
  const found: string[] = []
  lines.forEach((line, i) => {
    const [names, values] = [line.split(/\s+/), (lines[i + 1] ?? '').split(/\s+/)]
    if (/^\w*(Csum|HdrErrors)\w*$/.test(names[0] ?? '') && names[1] !== '0') found.push(line)
    if (names[0] !== values[0]) return
    names.forEach((name, at) => {
      if (/Csum|HdrErrors/.test(name) && /^\d+$/.test(values[at] ?? '') && values[at] !== '0')
        found.push(`${names[0]} ${name} ${values[at]}`)
    })
  })
  return found
}
