/** The NIC's process is killed under a busy guest: to Linux a card that was pulled out. The guest lives on. */
import assert from 'node:assert/strict'
import { HostNetwork } from '../harness/host-network.ts'
import { LinuxNic } from '../harness/linux-nic.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.6.1'
const GUEST = '10.77.6.2'
const ATTEMPTS = 3

/** QEMU 11.1 itself sometimes ends when writing to a dead server fails twice at once; that says nothing about the guest. */
const QEMU_ABORT = /error_setv: Assertion `\*errp == NULL' failed/

export const serverKilled: Scenario = {
  name: 'server-killed',
  deadline: 240,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const check = 'the guest survives the end of the server under load'
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const verdict = await survives(test, network, attempt)
      if (verdict === 'aborted') continue
      await test.check(check, () => assert.equal(verdict, ''))
      return
    }
    test.skip(check, `QEMU's vfio-user client failed an assertion of its own, ${ATTEMPTS} times`)
  },
}

/** Returns '' if the guest lives on, 'aborted' if QEMU fell over, else what went wrong. */
async function survives(test: ScenarioContext, network: HostNetwork, attempt: number): Promise<string> {
  const socket = test.socket(String(attempt))
  const server = await startVnic(test, [socket, '--wire', `tap=${network.tap}`], [socket], (command) =>
    network.inside(command),
  )
  const guest = await test.boot({
    name: `${test.name}-${attempt}`,
    devices: vnicDevice(socket),
  })
  const nic = new LinuxNic(guest)
  await guest.sh('load ixgbe', 60)
  await nic.up(`${GUEST}/24`)
  await nic.ping(HOST, '-c 2')
  try {
    await guest.sh(`ping -f -q -s 1000 ${HOST} >/dev/null 2>&1 &`)
    await guest.sh('sleep 1')
    server.child.kill('SIGKILL')
    await server.ended
    await guest.sh('sleep 3')
    assert.equal(await guest.sh('echo alive', 20), 'alive\n')
    const log = await nic.kernelLog()
    assert.match(log, /ixgbe.*Adapter removed/)
    assert.doesNotMatch(log, /BUG:|\bOops\b|Kernel panic|general protection/)
  } catch (error) {
    if (QEMU_ABORT.test(guest.qemuOutput())) return 'aborted'
    return error instanceof Error ? error.message : String(error)
  }
  return ''
}
