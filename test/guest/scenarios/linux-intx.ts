/** Linux's ixgbe without MSI and MSI-X: everything goes over INTx, a level that the card shows in its PCI Status. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.0.1'
const GUEST = '10.77.0.2'

export const linuxIntx: Scenario = {
  name: 'linux-intx',
  deadline: 180,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const socket = test.socket('nic')
    const server = await startVnic(test, [socket, '--wire', `tap=${network.tap}`], [socket], (command) =>
      network.inside(command),
    )
    const guest = await test.boot({ devices: vnicDevice(socket), kernelWords: 'pci=nomsi' })
    const nic = new LinuxNic(guest)
    await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6')
    await test.require('ixgbe takes the NIC, and the link comes up', async () => {
      await guest.sh('load ixgbe', 60)
      return `after ${(await nic.up(`${GUEST}/24`)).toFixed(1)} s`
    })
    await test.check('ping from both sides', async () => {
      await nic.ping(HOST, '-c 200 -i 0.01')
      await network.ping(GUEST, '-c 100 -i 0.01')
    })
    await test.check('the interrupt is the one of the slot, and nobody complains of it', async () => {
      const line = (await guest.sh(`grep ${nic.name} /proc/interrupts`)).trim()
      assert.match(line, /IO-APIC/)
      assert.doesNotMatch(await nic.kernelLog(), /nobody cared/)
      return line
    })
    await test.check('no transmit hang, no kernel complaint in all of this', () => assertNoDisaster(nic))
    await guest.stop()
    await breachesAreDocumented(test, [server])
  },
}
