/** `ixy-ts vnic` as a guest's network card. */
import { existsSync } from 'node:fs'
import { privately, programPath } from './debian.ts'
import { type Started, run, start, until } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

/** Starts the server, which reports in JSON at its end, and waits for its sockets: QEMU has to come after listen(). */
export async function startVnic(
  test: ScenarioContext,
  args: readonly string[],
  sockets: readonly string[],
  wrap = (command: readonly string[]): readonly string[] => command,
): Promise<Started> {
  const launcher = `${test.environment.repository}/bin/ixy-ts`
  const server = start(wrap([process.execPath, launcher, 'vnic', ...args, '--json', '--quiet']))
  test.cleanup(() => server.stop())
  await until(`ixy-ts vnic listens (${server.output()})`, 20, () => {
    if (server.child.exitCode !== null) throw new Error(`ixy-ts vnic has ended: ${server.output()}`)
    return sockets.every((socket) => existsSync(socket))
  })
  return server
}

/** Bytes that QEMU has sent to the server at `socket` and the server has not read. Throws if they aren't connected. */
export async function unreadBytes(test: ScenarioContext, socket: string): Promise<number> {
  const { tree } = test.environment
  const sockets = await run(privately(tree, programPath(tree, 'ss'), ['--unix', '--no-header', '--numeric']))
  for (const line of sockets.split('\n')) {
    const [, state, unread, , address] = line.trim().split(/\s+/)
    if (state === 'ESTAB' && address === socket) return Number(unread)
  }
  throw new Error(`nobody is connected to ${socket}\n${sockets}`)
}
/** Milliseconds that the server may take for an answer: beyond QEMU's 5 s the guest sees a card that has been pulled. */
const ANSWER = 30_000

/** QEMU arguments for a virtual NIC behind its own root port, so that it is a PCIe endpoint as a card is. */
export function vnicDevice(socket: string, slot = 1): string[] {
  const device = {
    ...{ driver: 'vfio-user-pci', id: `nic${slot}`, bus: `port${slot}` },
    ...{ socket: { type: 'unix', path: socket }, 'x-msg-timeout': ANSWER },
  }
  return ['-device', `pcie-root-port,id=port${slot},slot=${slot}`, '-device', JSON.stringify(device)]
}
