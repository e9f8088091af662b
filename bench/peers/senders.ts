/** Who generates packets into an interface of the kernel, which counts what has come. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sh, within } from '../lib/hosts.ts'
import { runTool } from '../lib/tool.ts'
import { type Contestant, DPDK, TCPREPLAY } from './contestant.ts'
import { type Place, VETH } from './place.ts'
import { RunningTool } from './running-tool.ts'
import { agree, type Count, type Sample, sample } from './sample.ts'
import { type Source, startSource, tapOf } from './sources.ts'

/** Packets of a capture that is sent over and over. */
const CAPTURED = 4096

/** Onto a veth of the first host, whose other end is in the last one. */
async function ontoVeth(
  place: Place,
  seconds: number,
  start: (place: Place) => Source | Promise<Source>,
): Promise<Sample> {
  const [a, , b] = place.hosts
  sh('ip', '-n', a, 'link', 'add', VETH, 'type', 'veth', 'peer', 'name', VETH, 'netns', b)
  for (const host of [a, b]) sh('ip', '-n', host, 'link', 'set', VETH, 'up')
  const source = await start(place)
  const count = (): Count => ({ packets: place.counters(2, VETH).rx, at: performance.now() / 1000 })
  const result = await sample(count, seconds)
  await source.stop()
  agree('across the veth', place.counters(0, VETH).tx, place.counters(2, VETH).rx)
  sh('ip', '-n', a, 'link', 'del', VETH)
  return result
}

async function startTcpreplay(place: Place): Promise<Source> {
  const file = join(place.folder, 'packets.pcap')
  await runTool(['pktgen', `virtual:record=${file}`, '--count', String(CAPTURED)])
  const [program, ...args] = within(
    place.hosts[0],
    ...['tcpreplay', '--topspeed', '--preload-pcap', '--loop=0', '--quiet', `--intf1=${VETH}`, file],
  )
  const child = spawn(program, args, { stdio: 'ignore' })
  place.children.push(child)
  return {
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** pktgen to a TAP, directly or across a virtual 82599. */
function ontoTap(device: (tap: string) => string): Contestant['measure'] {
  return async (place, seconds) => {
    const tap = tapOf(place, 'tap')
    const tool = await RunningTool.start(
      ['pktgen', device(tap), '--rate', 'max', '--flows', '64'],
      place.children,
      within(place.hosts[0]),
    )
    const count = (): Count => ({ packets: place.counters(0, tap).rx, at: performance.now() / 1000 })
    const result = await sample(count, seconds)
    const { devices } = await tool.stop()
    agree('into the TAP', devices[0].tx.packets, place.counters(0, tap).rx)
    sh('ip', '-n', place.hosts[0], 'link', 'del', tap)
    return result
  }
}

async function intoSink(place: Place, seconds: number): Promise<Sample> {
  const tool = await RunningTool.start(['pktgen', 'virtual:sink', '--rate', 'max'], place.children)
  const result = await sample(() => tool.sent(), seconds)
  const { devices, wires } = await tool.stop()
  agree('into the sink', devices[0].tx.packets, wires[0].counters.arrived)
  return result
}

export const SENDERS: readonly Contestant[] = [
  { name: 'ixy-ts pktgen virtual:sink', needs: [], measure: intoSink },
  { name: 'ixy-ts pktgen tap:', needs: [], measure: ontoTap((tap) => `tap:${tap}`) },
  { name: 'ixy-ts pktgen virtual:tap=', needs: [], measure: ontoTap((tap) => `virtual:tap=${tap}`) },
  {
    name: 'testpmd txonly, af_packet, veth',
    needs: [DPDK],
    measure: (place, seconds) => ontoVeth(place, seconds, () => startSource(place, VETH)),
  },
  {
    name: 'tcpreplay, veth',
    needs: [TCPREPLAY],
    measure: (place, seconds) => ontoVeth(place, seconds, startTcpreplay),
  },
]
