/**
 * Two guests with Linux's ixgbe at the two ends of a cable: TCP with the driver's offloads on and off, plain and in a VLAN; a flood
 * for a receiver that stands still, with flow control and without; PTP.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { blast } from '../harness/blast.ts'
import { breachesAreDocumented, reported } from '../harness/breaches.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { guestToGuest } from '../harness/tcp.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'
import { ptp } from './linux-ptp.ts'

const MEGABYTES = 20
/** Datagrams of a flood: many times what the ring of 512 and the packet buffer of 512 KiB hold. */
const FLOOD = 5000
const FLOOD_BYTES = 1400

export const linuxCable: Scenario = {
  name: 'linux-cable',
  deadline: 360,
  async run(test) {
    const sockets = [test.socket('a'), test.socket('b')]
    const server = await startVnic(test, sockets, sockets)
    const guests = await Promise.all(
      sockets.map((socket, i) =>
        test.boot({ name: `${test.name}-${'ab'[i]}`, devices: vnicDevice(socket), cpus: 1 }),
      ),
    )
    const [a, b] = guests.map((guest) => new LinuxNic(guest))
    if (a === undefined || b === undefined) throw new Error('two guests were to be started')

    await test.require('both ends up', async () => {
      await Promise.all([a.guest, b.guest].map((guest) => guest.sh('load ixgbe && load 8021q', 90)))
      await Promise.all([a.up('10.77.2.1/24'), b.up('10.77.2.2/24')])
      await a.ping('10.77.2.2')
    })

    const offloads = 'rx tx sg tso gso gro rxvlan txvlan'.split(' ')
    await test.check('the driver offers the offloads', async () => {
      const features = await a.guest.sh(`ethtool -k ${a.name}`)
      for (const feature of [
        'rx-checksumming',
        'tx-checksumming',
        'tcp-segmentation-offload',
        'generic-receive-offload',
      ]) {
        assert.match(features, new RegExp(`^${feature}: on`, 'm'))
      }
      for (const feature of ['rx-vlan-offload', 'tx-vlan-offload'])
        assert.match(features, new RegExp(`^${feature}: on`, 'm'))
    })
    for (const nic of [a, b]) {
      const address = nic === a ? '10.77.3.1/24' : '10.77.3.2/24'
      await nic.guest.sh(
        `ip link add link ${nic.name} name vlan42 type vlan id 42 && ip addr add ${address} dev vlan42 && ip link set vlan42 up`,
      )
    }
    for (const state of ['on', 'off']) {
      await test.check(`offloads ${state}: set at both ends`, async () => {
        for (const nic of [a, b]) {
          for (const name of offloads) await nic.guest.sh(`ethtool -K ${nic.name} ${name} ${state}`)
          await nic.waitForLink()
        }
      })
      await test.check(`offloads ${state}: ${MEGABYTES} MB over TCP, a to b`, () =>
        guestToGuest(a.guest, b.guest, '10.77.2.2', MEGABYTES),
      )
      await test.check(`offloads ${state}: ${MEGABYTES} MB over TCP, b to a`, () =>
        guestToGuest(b.guest, a.guest, '10.77.2.1', MEGABYTES),
      )
      await test.check(`offloads ${state}: ${MEGABYTES} MB over TCP in VLAN 42`, () =>
        guestToGuest(a.guest, b.guest, '10.77.3.2', MEGABYTES),
      )
      await test.check(`offloads ${state}: ping in VLAN 42`, () => b.ping('10.77.3.1'))
    }
    for (const state of ['on', 'off'] as const) await flowControl(test, a, b, state)
    await ptp(test, a, b)
    await test.check('no error counted at either end', async () => {
      for (const nic of [a, b]) {
        const counters = await nic.counters()
        for (const name of [
          'rx_errors',
          'tx_errors',
          'rx_crc_errors',
          'rx_csum_offload_errors',
          'rx_length_errors',
        ]) {
          assert.equal(counters.get(name) ?? 0, 0, `${nic.guest.name}: ${name}`)
        }
      }
    })
    for (const nic of [a, b])
      await test.check(`${nic.guest.name}: no transmit hang`, () => assertNoDisaster(nic))
    for (const guest of guests) await guest.stop()
    await test.check('nothing was lost on the cable', async () => {
      for (const { wires } of await reported(server))
        for (const { counters } of wires) assert.equal(counters['overrun'], 0, JSON.stringify(wires))
    })
    await breachesAreDocumented(test, [server])
  },
}

/** What `ethtool -S` calls the PAUSE frames and the frames that found no place. */
const PAUSES = ['xon', 'xoff'] as const
const LOST = ['rx_missed_errors', 'rx_no_dma_resources', 'rx_no_buffer_count']

/**
 * Floods `b`, whose machine stands still meanwhile. With flow control its card holds the sender up for as long as it takes, and
 * nothing is lost; without, what the card has no room for is.
 */
async function flowControl(
  test: ScenarioContext,
  a: LinuxNic,
  b: LinuxNic,
  state: 'on' | 'off',
): Promise<void> {
  await test.check(`flow control ${state}: set at both ends`, async () => {
    for (const nic of [a, b]) {
      // ethtool fails where it has nothing to change.
      await nic.guest.shell(`ethtool -A ${nic.name} autoneg off rx ${state} tx ${state}`)
      await nic.waitForLink()
      const now = await nic.guest.sh(`ethtool -a ${nic.name}`)
      assert.match(now, new RegExp(`^RX:\\s+${state}\\nTX:\\s+${state}`, 'm'))
    }
    // Each change takes the interface down; the first packets behind it may be lost.
    await a.guest.sh('for i in 1 2 3 4 5 6 7 8 9; do ping -q -c 1 -W 1 10.77.2.2 && exit 0; done; exit 1')
  })
  await test.check(`flow control ${state}: ${FLOOD} datagrams for a machine that stands still`, async () => {
    const target = { address: '10.77.2.2', mac: await b.mac() }
    const before = [await a.counters(), await b.counters()] as const
    const flooding: Promise<void>[] = []
    await b.guest.frozen(async () => {
      const flood = blast(a, target, FLOOD, FLOOD_BYTES)
      flooding.push(flood)
      const paused = async (): Promise<void> => {
        while ((await grown(a, before[0]))('rx_flow_control_xoff') === 0) await sleep(100)
      }
      await (state === 'on' ? Promise.race([paused(), flood]) : flood)
    })
    await Promise.all(flooding)
    await b.ping('10.77.2.1', '-c 2 -i 0.02')
    const [sent, received] = [await grown(a, before[0]), await grown(b, before[1])]
    const pauses = PAUSES.map((kind) => ({
      sent: received(`tx_flow_control_${kind}`),
      received: sent(`rx_flow_control_${kind}`),
    }))
    const lost = LOST.map(received).reduce((sum, count) => sum + count, 0)
    const summary = `${pauses[1].received} XOFF and ${pauses[0].received} XON, ${lost} frames lost`
    assert.ok(sent('tx_packets') >= FLOOD, `${sent('tx_packets')} sent`)
    const [all, fates] = [sent('tx_pkts_nic'), received('rx_pkts_nic') + lost]
    assert.ok(Math.abs(all - fates) <= SMALL_TALK, `${fates} got or lost of ${all} sent; ${summary}`)
    if (state === 'off') {
      assert.deepEqual(pauses, [NONE, NONE])
      assert.ok(lost > 0, 'the receiver was never overwhelmed')
    } else {
      assert.equal(lost, 0, summary)
      for (const kind of pauses) assert.equal(kind.sent, kind.received, JSON.stringify(pauses))
      assert.ok(
        pauses.every(({ sent: count }) => count > 0),
        summary,
      )
    }
    return summary
  })
}

const NONE = { sent: 0, received: 0 }
/** Packets of the kernels' own between the looks at the two ends. */
const SMALL_TALK = 10

/** By how much a counter has grown since. */
async function grown(nic: LinuxNic, before: ReadonlyMap<string, number>): Promise<(name: string) => number> {
  const now = await nic.counters()
  return (name) => (now.get(name) ?? 0) - (before.get(name) ?? 0)
}
