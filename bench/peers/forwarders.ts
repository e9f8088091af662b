/** Who passes packets on, from one port to another. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { sh, within } from '../lib/hosts.ts'
import { type Contestant, DPDK } from './contestant.ts'
import { type Place, TARGET_MAC, VETH } from './place.ts'
import { RunningTool } from './running-tool.ts'
import { agree, type Sample, sample } from './sample.ts'
import { startSource, tapOf } from './sources.ts'
import { type PortCounts, Testpmd } from './testpmd.ts'

const BRIDGE = 'bridge'
/** What is on its way in the rings of two ports when forwarding is stopped. */
const IN_RINGS = 2048

/** DPDK's end: a testpmd with two vhost-user ports, to which packets are given that then go round. */
async function startVhost(place: Place): Promise<{ testpmd: Testpmd; sockets: string[] }> {
  const sockets = ['0', '1'].map((port) => join(place.folder, `vhost${port}-${performance.now()}.sock`))
  const testpmd = await Testpmd.start(
    {
      name: 'ixy-vhost',
      cpu: 0,
      vdevs: sockets.map((socket, port) => `net_vhost${port},iface=${socket}`),
      options: ['--forward-mode=io'],
      hugepages: place.hugepages,
    },
    place.children,
  )
  const missing = sockets.find((socket) => !existsSync(socket))
  if (missing !== undefined) throw new Error(`testpmd does not listen at ${missing}`)
  return { testpmd, sockets }
}

/** Packets on their way at a time: 12 bursts of 32 at each port. */
async function startRound(vhost: Testpmd): Promise<void> {
  await vhost.said('virtio is now ready for processing', 2)
  vhost.write('start tx_first 12')
}

/** What a port of one has sent the same port of the other has received, but for what was in the ring at the end. */
function agreeByPort(one: readonly PortCounts[], other: readonly PortCounts[]): void {
  one.forEach(({ rx, tx }, port) => {
    agree(`port ${port}, one way`, tx, other[port].rx, IN_RINGS)
    agree(`port ${port}, the other way`, other[port].tx, rx, IN_RINGS)
  })
}

async function dpdkPair(place: Place, seconds: number): Promise<Sample> {
  const { testpmd: vhost, sockets } = await startVhost(place)
  const virtio = await Testpmd.start(
    {
      name: 'ixy-virtio',
      cpu: 1,
      vdevs: sockets.map((socket, port) => `net_virtio_user${port},path=${socket}`),
      options: ['--forward-mode=io'],
      hugepages: place.hugepages,
    },
    place.children,
  )
  virtio.write('start')
  await startRound(vhost)
  const result = await sample(() => virtio.sent(), seconds)
  const near = await vhost.stop()
  agreeByPort(near, await virtio.stop())
  return result
}

async function oursIntoDpdk(place: Place, seconds: number): Promise<Sample> {
  const { testpmd: vhost, sockets } = await startVhost(place)
  const tool = await RunningTool.start(
    ['forward', ...sockets.map((socket) => `vhost-user:${socket}`)],
    place.children,
  )
  await startRound(vhost)
  const result = await sample(() => tool.sent(), seconds)
  const near = await vhost.stop()
  const { devices } = await tool.stop()
  agreeByPort(
    near,
    devices.map(({ rx, tx }) => ({ rx: rx.packets, tx: tx.packets })),
  )
  return result
}

/** Between two generators in the virtual NICs' process, which also receive and check each packet. */
function oursBetweenGenerators(more: readonly string[]): Contestant['measure'] {
  return async (place, seconds) => {
    const gen = 'virtual:gen,rate=max'
    const tool = await RunningTool.start(['forward', gen, gen, ...more], place.children)
    const result = await sample(() => tool.sent(), seconds)
    const { devices, wires } = await tool.stop()
    wires.forEach(({ counters }, port) => {
      agree(`port ${port}`, devices[port].tx.packets, counters.arrived)
      if (counters.lost + counters.duplicated + counters.corrupted > 0)
        throw new Error(`port ${port}: ${JSON.stringify(counters)}`)
    })
    return result
  }
}

/** Two veth pairs: from the first host to the bridge, from the bridge to the last host. */
async function kernelBridge(place: Place, seconds: number): Promise<Sample> {
  const [a, m, b] = place.hosts
  // One that snoops says so itself, in a packet of its own.
  sh('ip', '-n', m, 'link', 'add', 'name', BRIDGE, 'type', 'bridge', 'mcast_snooping', '0')
  sh('ip', '-n', m, 'link', 'set', BRIDGE, 'up')
  for (const [host, port] of [
    [a, 'p'],
    [b, 'q'],
  ]) {
    sh('ip', '-n', host, 'link', 'add', VETH, 'type', 'veth', 'peer', 'name', port, 'netns', m)
    sh('ip', '-n', host, 'link', 'set', VETH, 'up')
    sh('ip', '-n', m, 'link', 'set', port, 'master', BRIDGE, 'up')
  }
  sh(...within(m, 'bridge', 'fdb', 'replace', TARGET_MAC, 'dev', 'q', 'master', 'static'))
  const source = await startSource(place, VETH)
  const result = await sample(
    () => ({ packets: place.counters(2, VETH).rx, at: performance.now() / 1000 }),
    seconds,
  )
  await source.stop()
  const [{ tx }, { rx }] = [place.counters(0, VETH), place.counters(2, VETH)]
  // What the queue between a veth and the bridge doesn't hold is lost.
  agree('through the bridge', tx, rx, tx)
  for (const host of [a, b]) sh('ip', '-n', host, 'link', 'del', VETH)
  sh('ip', '-n', m, 'link', 'del', BRIDGE)
  return { ...result, lost: (tx - rx) / tx }
}

/** What the bridge does, by ixy-ts between two TAPs. */
async function oursBetweenTaps(place: Place, seconds: number): Promise<Sample> {
  const taps = ['in', 'out'].map((end) => tapOf(place, end))
  const tool = await RunningTool.start(
    ['forward', ...taps.map((tap) => `tap:${tap}`)],
    place.children,
    within(place.hosts[0]),
  )
  const source = await startSource(place, taps[0])
  const result = await sample(
    () => ({ packets: place.counters(0, taps[1]).rx, at: performance.now() / 1000 }),
    seconds,
  )
  await source.stop()
  const { devices } = await tool.stop()
  const { rx } = place.counters(0, taps[1])
  const { tx } = place.counters(0, taps[0])
  agree('out of the second TAP', devices[1].tx.packets, rx)
  for (const tap of taps) sh('ip', '-n', place.hosts[0], 'link', 'del', tap)
  return { ...result, lost: (tx - rx) / tx }
}

const OURS = 'ixy-ts forward virtual:gen ×2'

export const FORWARDERS: readonly Contestant[] = [
  { name: OURS, needs: [], measure: oursBetweenGenerators([]) },
  { name: `${OURS}, --inspect`, needs: [], measure: oursBetweenGenerators(['--inspect']) },
  { name: 'ixy-ts, testpmd (vhost-user)', needs: [DPDK], measure: oursIntoDpdk },
  { name: 'testpmd, testpmd (vhost-user)', needs: [DPDK], measure: dpdkPair },
  { name: 'ixy-ts forward tap: tap:', needs: [DPDK], measure: oursBetweenTaps },
  { name: 'kernel’s bridge', needs: [DPDK], measure: kernelBridge },
]
