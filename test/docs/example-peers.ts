/** What an example speaks of as being there already, and no machine has: the back end of a hypervisor, an interface. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import path from 'node:path'
import { bundle } from '../pci/vfio-user/bundle.ts'
import { sh } from '../e2e/support.ts'

let script: string | undefined
afterAll(() => {
  if (script !== undefined) rmSync(path.dirname(script), { recursive: true })
})

/** Sends back what it is sent; everybody may connect to it. disconnect() ends it. */
export async function startBackEnd(socket: string): Promise<ChildProcess> {
  script ??= bundle('echo-backend.ts', path.join(__dirname, '../pci/vhost-user'))
  const backEnd = fork(script, [socket, '{}'])
  await once(backEnd, 'message')
  chmodSync(socket, 0o777)
  return backEnd
}

/** What its other end sends, it receives. */
export function makeInterface(netns: string, name: string): void {
  sh('ip', '-n', netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'far')
  for (const end of [name, 'far']) sh('ip', '-n', netns, 'link', 'set', end, 'up')
}
