/** Two guests with Linux's ixgbe at the two ends of a cable: TCP with the driver's offloads on and off, plain and in a VLAN. */
import assert from 'node:assert/strict'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const MEGABYTES = 20
const PORT = 5000

/** Sends a random file over TCP; both ends must agree on its checksum. Returns the rate. */
async function transfer(from: LinuxNic, to: LinuxNic, address: string): Promise<string> {
  await from.guest.sh(
    `[ -f /tmp/file ] || dd if=/dev/urandom of=/tmp/file bs=1M count=${MEGABYTES} 2>/dev/null`,
  )
  const sent = await from.guest.sh('sha256sum </tmp/file')
  // At the end of its own input nc would end the connection: a FIFO that is open both ways has no end.
  const received = to.guest.sh(
    `[ -p /run/hold ] || mkfifo /run/hold; nc -l -p ${PORT} <>/run/hold | sha256sum`,
    90,
  )
  // The listener must be there before the sender.
  await to.guest.sh(`until netstat -tln | grep -q ':${PORT} '; do usleep 20000; done`)
  const started = performance.now()
  await from.guest.sh(`nc ${address} ${PORT} </tmp/file`, 90)
  assert.equal(await received, sent)
  const seconds = (performance.now() - started) / 1000
  return `${((MEGABYTES * 8) / seconds).toFixed(0)} Mbit/s`
}

export const linuxCable: Scenario = {
  name: 'linux-cable',
  deadline: 300,
  async run(test) {
    const sockets = [test.socket('a'), test.socket('b')]
    await startVnic(test, sockets, sockets)
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
        transfer(a, b, '10.77.2.2'),
      )
      await test.check(`offloads ${state}: ${MEGABYTES} MB over TCP, b to a`, () =>
        transfer(b, a, '10.77.2.1'),
      )
      await test.check(`offloads ${state}: ${MEGABYTES} MB over TCP in VLAN 42`, () =>
        transfer(a, b, '10.77.3.2'),
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
  },
}
