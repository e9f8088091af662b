/** `ixy-ts vnic` as a guest's network card. */
import { existsSync } from 'node:fs'
import { type Started, start, until } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

/** Starts the server and waits until its sockets are there: QEMU has to come after listen(). */
export async function startVnic(
  test: ScenarioContext,
  args: readonly string[],
  sockets: readonly string[],
  wrap = (command: readonly string[]): readonly string[] => command,
): Promise<Started> {
  const launcher = `${test.environment.repository}/bin/ixy-ts`
  const server = start(wrap([process.execPath, launcher, 'vnic', ...args]))
  test.cleanup(() => server.stop())
  await until(`ixy-ts vnic listens (${server.output()})`, 20, () => {
    if (server.child.exitCode !== null) throw new Error(`ixy-ts vnic has ended: ${server.output()}`)
    return sockets.every((socket) => existsSync(socket))
  })
  return server
}

/** QEMU arguments for a virtual NIC behind its own root port, so that it is a PCIe endpoint as a card is. */
export function vnicDevice(socket: string, slot = 1): string[] {
  const device = {
    ...{ driver: 'vfio-user-pci', id: `nic${slot}`, bus: `port${slot}` },
    socket: { type: 'unix', path: socket },
  }
  return ['-device', `pcie-root-port,id=port${slot},slot=${slot}`, '-device', JSON.stringify(device)]
}
