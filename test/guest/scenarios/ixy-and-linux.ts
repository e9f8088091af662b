/** A cable between ixy-ts on the host and Linux's ixgbe in a guest: pktgen to Linux, TCP from Linux through forward. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { GENERATED, receivesGenerated } from '../harness/generated.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { nothingDropped } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { type Started, start, until } from '../harness/processes.ts'
import type { Scenario } from '../harness/scenario.ts'
import { guestToHost, hostToGuest } from '../harness/tcp.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.6.1'
const GUEST = '10.77.6.2'
const MEGABYTES = 5

export const ixyAndLinux: Scenario = {
  name: 'ixy-and-linux',
  deadline: 240,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const sockets = [test.socket('linux'), test.socket('ixy')] as const
    const server = await startVnic(test, sockets, sockets)
    const guest = await test.boot({ devices: vnicDevice(sockets[0]) })
    const nic = new LinuxNic(guest)
    await test.require('ixgbe takes the NIC', async () => {
      await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 90)
      await guest.sh(`ip addr add ${GUEST}/24 dev ${nic.name}; ip link set ${nic.name} up`)
    })
    const ixy = (...args: string[]): Started => {
      const launcher = `${test.environment.repository}/bin/ixy-ts`
      const started = start(network.inside([process.execPath, launcher, ...args]))
      test.cleanup(() => started.stop())
      return started
    }
    const card = `vfio-user:${sockets[1]}`
    await test.check(`pktgen to Linux: ${GENERATED}`, () =>
      receivesGenerated(nic, GUEST, async (options) => {
        const pktgen = ixy('pktgen', card, '--src-ip', HOST, ...options)
        return { code: await pktgen.ended, output: pktgen.output() }
      }),
    )

    const forwarder = ixy('forward', card, `virtual:tap=${network.tap}`, '--json')
    await until('ixy-ts forward starts', 30, () => {
      assert.equal(forwarder.child.exitCode, null, forwarder.output())
      return forwarder.output().includes('"event":"start"')
    })
    const host = { test, network, address: HOST }
    await test.check('Linux reaches the TAP through ixy-ts forward', async () => {
      await nic.waitForLink()
      await nic.ping(HOST)
    })
    await test.check(`${MEGABYTES} MB over TCP, Linux to the TAP, with ixgbe's offloads`, () =>
      guestToHost(guest, host, MEGABYTES),
    )
    await test.check(`and ${MEGABYTES} MB from the TAP to Linux`, () => hostToGuest(guest, host, MEGABYTES))
    await test.check('SIGINT: exit 0, nothing dropped by the driver', async () => {
      forwarder.child.kill('SIGINT')
      assert.equal(await forwarder.ended, 0, forwarder.output())
      return nothingDropped(forwarder.output())
    })
    await test.check('no transmit hang, no kernel complaint in all of this', () => assertNoDisaster(nic))
    await guest.stop()
    await breachesAreDocumented(test, [server], { own: [sockets[1]] })
  },
}
