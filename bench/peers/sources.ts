/** Where packets come from that the kernel passes on. */
import { sh, within } from '../lib/hosts.ts'
import type { Place } from './place.ts'
import { Testpmd } from './testpmd.ts'

/**
 * A TAP in the first host that outlives who uses it, so that its counters can be read afterwards. What is sent there before somebody
 * reads it is dropped.
 */
export function tapOf(place: Place, name: string): string {
  const [host] = place.hosts
  sh('ip', '-n', host, 'tuntap', 'add', 'dev', name, 'mode', 'tap')
  sh('ip', '-n', host, 'link', 'set', name, 'up')
  return name
}

export interface Source {
  stop(): Promise<unknown>
}

/**
 * The fastest there is for an interface of the first host without the kernel's own generator: testpmd by a memory-mapped packet socket
 * (packet(7), PACKET_TX_RING), past the queueing disciplines. Each packet is of another flow, so nobody can join them.
 */
export async function startSource(place: Place, dev: string): Promise<Source> {
  const testpmd = await Testpmd.start(
    {
      name: 'ixy-source',
      cpu: 0,
      vdevs: [`net_af_packet0,iface=${dev},qdisc_bypass=1`],
      options: ['--forward-mode=txonly', '--txonly-multi-flow'],
      within: within(place.hosts[0]),
      hugepages: place.hugepages,
    },
    place.children,
  )
  testpmd.write('start')
  return testpmd
}
