/** Two guests with Linux's ixgbe at the two ends of a cable: TCP with the driver's offloads on and off, plain and in a VLAN. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario } from '../harness/scenario.ts'
import { guestToGuest } from '../harness/tcp.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const MEGABYTES = 20

export const linuxCable: Scenario = {
  name: 'linux-cable',
  deadline: 300,
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
    await breachesAreDocumented(test, [server])
  },
}
