/** The NIC's process ends under a busy guest: to Linux a card that was pulled out. The guest lives on. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { LinuxNic } from '../harness/linux-nic.ts'
import type { Started } from '../harness/processes.ts'
import { until } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, unreadBytes, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.6.1'
const GUEST = '10.77.6.2'
/** Frames, both directions together, that the ping flood has moved when the server ends. */
const UNDER_WAY = 500

interface Machine {
  readonly guest: Guest
  readonly server: Started
  readonly socket: string
}

export const serverKilled: Scenario = {
  name: 'server-killed',
  deadline: 240,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const stopped = await loses(test, network, 'stop', ({ server }) => endOf(server, 'SIGTERM'))
    await breachesAreDocumented(test, [stopped])
    await loses(test, network, 'kill', (machine) => killAsPulled(test, machine))
  },
}

/** One machine that loses its NIC by `end`, in the middle of a ping flood. Returns the NIC's server. */
async function loses(
  test: ScenarioContext,
  network: HostNetwork,
  name: string,
  end: (machine: Machine) => Promise<void>,
): Promise<Started> {
  const socket = test.socket(name)
  const server = await startVnic(test, [socket, '--wire', `tap=${network.tap}`], [socket], (command) =>
    network.inside(command),
  )
  const guest = await test.boot({ name: `${test.name}-${name}`, devices: vnicDevice(socket) })
  const nic = new LinuxNic(guest)
  await guest.sh('load ixgbe', 60)
  await nic.up(`${GUEST}/24`)
  await nic.ping(HOST, '-c 2')
  await test.check(`the guest survives the ${name} of the server under load`, async () => {
    await guest.sh(`ping -f -q -s 1000 ${HOST} >/dev/null 2>&1 &`)
    const moved = async (): Promise<number> => {
      const { rxPackets, txPackets } = await network.counters()
      return rxPackets + txPackets
    }
    const before = await moved()
    await until('the ping flood is under way', 30, async () => (await moved()) > before + UNDER_WAY)
    await end({ guest, server, socket })
    await until('ixgbe notices', 30, async () => /ixgbe.*Adapter removed/.test(await nic.kernelLog()))
    assert.equal(await guest.sh('echo alive', 20), 'alive\n')
    assert.doesNotMatch(await nic.kernelLog(), /BUG:|\bOops\b|Kernel panic|general protection/)
  })
  await guest.stop()
  return server
}

async function endOf(server: Started, signal: NodeJS.Signals): Promise<void> {
  server.child.kill(signal)
  await server.ended
}

/**
 * SIGKILL between two messages. When a process dies with bytes unread in a UNIX socket, the peer's read fails with
 * ECONNRESET, and QEMU 11.1 can't take that: vfio_user_recv_hdr() in hw/vfio-user/proxy.c reports "failed to read
 * header" into an Error that the failed read has filled already, which is an assertion (error_setv, "*errp == NULL").
 * An end of stream is dealt with. So the machine stands still, ping flood and all, until the server has read what was
 * sent: then the server dies, and the machine goes on as if in the same instant.
 */
async function killAsPulled(test: ScenarioContext, { guest, server, socket }: Machine): Promise<void> {
  await guest.frozen(async () => {
    await until('the server has read everything', 10, async () => (await unreadBytes(test, socket)) === 0)
    await endOf(server, 'SIGKILL')
  })
}
