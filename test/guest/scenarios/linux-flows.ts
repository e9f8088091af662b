/** Flow Director, judged by Linux's ixgbe: signature filters for TCP that it sends, and the perfect ones of `ethtool -N`. */
import assert from 'node:assert/strict'
import { ethernet, type Flow, ipPacket, type Protocol, tagged } from '../harness/frames.ts'
import type { FarEnd } from '../harness/host-network.ts'
import type { LinuxNic } from '../harness/linux-nic.ts'
import { until } from '../harness/processes.ts'
import type { ScenarioContext } from '../harness/scenario.ts'
import { toeplitz } from '../harness/toeplitz.ts'

export interface FlowsBench {
  readonly test: ScenarioContext
  readonly nic: LinuxNic
  readonly farEnd: FarEnd
  readonly farMac: string
  readonly farAddress: string
  readonly address: string
  /** The key of RSS, and how many queues its table spreads over. */
  readonly key: string
  readonly queues: number
  /** Sends frames, and one ARP request to queue 0; returns how much each counter of the driver has grown. */
  growth(frames: readonly Uint8Array[]): Promise<Map<string, number>>
}

/** What becomes of frames: how many came by each queue, and what Flow Director counted. */
interface Outcome {
  readonly queues: readonly number[]
  readonly matched: number
  readonly missed: number
  readonly dropped: number
}

const FRAMES = 5

export async function flowDirector(bench: FlowsBench): Promise<void> {
  await sentAndReceived(bench)
  await perfectFilters(bench)
}

async function outcome(bench: FlowsBench, frames: readonly Uint8Array[]): Promise<Outcome> {
  const grown = await bench.growth(frames)
  const pick = (name: string): number => grown.get(name) ?? NaN
  const queues = Array.from({ length: bench.queues }, (_, i) => pick(`rx_queue_${i}_packets`))
  // The ARP request isn't IP: RSS and Flow Director leave it alone.
  queues[0] = (queues[0] ?? NaN) - 1
  return {
    queues,
    matched: pick('fdir_match'),
    missed: pick('fdir_miss'),
    dropped: pick('rx_no_dma_resources'),
  }
}

/** `count` frames came by `queue`, and nothing else happened. */
function only(bench: FlowsBench, queue: number, count: number, rest: Partial<Outcome> = {}): Outcome {
  const queues = Array.from({ length: bench.queues }, (_, i) => (i === queue ? count : 0))
  return { queues, matched: 0, missed: 0, dropped: 0, ...rest }
}

/** By RSS, over addresses and, of TCP, ports. */
function rssQueue({ key, queues }: FlowsBench, flow: Flow, protocol: Protocol): number {
  const addresses = [flow.from, flow.to].flatMap((text) => text.split('.').map(Number))
  const ports = [flow.fromPort, flow.toPort].flatMap((port) => [port >> 8, port & 0xff])
  const input = Uint8Array.from(protocol === 'tcp' ? [...addresses, ...ports] : addresses)
  return (toeplitz(Buffer.from(key, 'hex'), input) & 127) % queues
}

async function frames(
  { nic, farMac }: FlowsBench,
  flow: Flow,
  protocol: Protocol,
  tag = -1,
): Promise<Buffer[]> {
  const { type, payload } = ipPacket(flow, protocol)
  const frame = ethernet(await nic.mac(), farMac, type, payload)
  return Array<Buffer>(FRAMES).fill(tag < 0 ? frame : tagged(frame, tag))
}

/** Begins a TCP connection on one processor, which nobody answers; returns the flow as it would come back. */
async function connect(bench: FlowsBench, cpu: number, port: number): Promise<Flow> {
  const { nic, farEnd, farAddress, address } = bench
  await farEnd.collect()
  await nic.guest.shell(
    `taskset ${(1 << cpu).toString(16)} nc ${farAddress} ${port} </dev/null >/dev/null 2>&1 & usleep 200000; kill $!`,
  )
  let syn: Buffer | undefined
  // Ports stand behind 34 bytes of headers, flags at 47.
  await until('the SYN', 20, async () => {
    syn = (await farEnd.collect()).find((frame) => frame[23] === 6 && frame[47] === 2)
    return syn !== undefined
  })
  assert.equal(syn?.readUInt16BE(36), port)
  return { from: farAddress, fromPort: port, to: address, toPort: syn.readUInt16BE(34) }
}

async function sentAndReceived(bench: FlowsBench): Promise<void> {
  const { test, nic, queues, farMac, farAddress } = bench
  await test.check('a TCP flow comes to the queue that it is sent from, not to that of RSS', async () => {
    await nic.guest.sh(`ip neigh replace ${farAddress} lladdr ${farMac} dev ${nic.name}`)
    let port = 5000
    for (let queue = 0; queue < queues; queue++) {
      // Linux sends from the queue of the processor that it runs on.
      let flow = await connect(bench, queue, port)
      while (rssQueue(bench, flow, 'tcp') === queue) flow = await connect(bench, queue, ++port)
      const after = await outcome(bench, await frames(bench, flow, 'tcp'))
      assert.deepEqual(after, only(bench, queue, FRAMES, { matched: FRAMES }))
      const other = { ...flow, fromPort: flow.fromPort + 1000 }
      assert.deepEqual(
        await outcome(bench, await frames(bench, other, 'tcp')),
        only(bench, rssQueue(bench, other, 'tcp'), FRAMES, { missed: FRAMES }),
      )
    }
    return `${queues} flows`
  })
}

async function perfectFilters(bench: FlowsBench): Promise<void> {
  const { test, nic, farAddress, address } = bench
  const { guest } = nic
  const rule = async (text: string): Promise<void> => {
    await guest.sh(`ethtool -N ${nic.name} ${text}`)
  }
  const flow: Flow = { from: farAddress, fromPort: 7000, to: address, toPort: 7001 }
  const other: Flow = { ...flow, toPort: 7002 }
  const exactly = (type: string, { from, fromPort, to, toPort }: Flow): string =>
    `flow-type ${type} src-ip ${from} dst-ip ${to} src-port ${fromPort} dst-port ${toPort}`
  const byRss = rssQueue(bench, flow, 'udp')
  const queue = (byRss + 1) % bench.queues
  /** Frames of the flow come by `to`; null: they are dropped. Without a match RSS decides, and they count as missed. */
  const expect = async (
    what: Flow,
    protocol: Protocol,
    to: number | 'rss' | null,
    tag = -1,
  ): Promise<void> => {
    const result = await outcome(bench, await frames(bench, what, protocol, tag))
    const expected =
      to === 'rss'
        ? only(bench, rssQueue(bench, what, protocol), FRAMES, { missed: FRAMES })
        : to === null
          ? only(bench, 0, 0, { matched: FRAMES, dropped: FRAMES })
          : only(bench, to, FRAMES, { matched: FRAMES })
    assert.deepEqual(result, expected, `${protocol} to port ${what.toPort}, tag ${tag}`)
  }

  await test.check('ethtool -N: a rule for a queue, one to drop, and what no rule takes', async () => {
    await guest.sh(`ethtool -K ${nic.name} ntuple on`)
    await nic.waitForLink()
    await expect(flow, 'udp', 'rss')
    await rule(`${exactly('udp4', flow)} action ${queue} loc 3`)
    await rule(`${exactly('tcp4', other)} action -1 loc 2045`)
    await expect(flow, 'udp', queue)
    await expect(flow, 'tcp', 'rss')
    await expect(other, 'tcp', null)
    await expect(other, 'udp', 'rss')
  })
  await test.check('ethtool -n lists them; another mask and a rule too many are refused', async () => {
    const listed = await guest.sh(`ethtool -n ${nic.name}`)
    assert.match(listed, /Total 2 rules/)
    assert.match(listed, new RegExp(`Filter: 3\\n[^]*UDP over IPv4[^]*Direct to queue ${queue}\\n`))
    assert.match(listed, /Filter: 2045\n[^]*TCP over IPv4[^]*Action: Drop/)
    for (const refused of [
      'flow-type udp4 dst-port 1 action 1',
      `${exactly('udp4', flow)} action 1 loc 2046`,
    ])
      assert.notEqual((await guest.shell(`ethtool -N ${nic.name} ${refused}`)).code, 0, refused)
  })
  await test.check('rules change, outlive a reset, and go', async () => {
    const another = (queue + 1) % bench.queues
    await rule(`${exactly('udp4', flow)} action ${another} loc 3`)
    await expect(flow, 'udp', another)
    await guest.sh(`ip link set ${nic.name} mtu 1600`)
    await nic.waitForLink()
    await expect(flow, 'udp', another)
    await expect(other, 'tcp', null)
    await rule('delete 3')
    await expect(flow, 'udp', 'rss')
    await rule('delete 2045')
    await expect(other, 'tcp', 'rss')
  })
  await test.check('masks: networks, parts of ports, any protocol', async () => {
    await rule(
      `flow-type udp4 src-ip ${farAddress} m 0.0.0.255 src-port 0x1200 m 0xff dst-port 0x8000 m 0x7fff action ${queue} loc 1`,
    )
    const near = { from: farAddress.replace(/\.\d+$/, '.77'), fromPort: 0x12ab, to: address, toPort: 0xfedc }
    await expect(near, 'udp', queue)
    await expect({ ...near, toPort: 0x7edc }, 'udp', 'rss')
    await expect({ ...near, fromPort: 0x13ab }, 'udp', 'rss')
    await expect({ ...near, from: '10.99.1.1' }, 'udp', 'rss')
    await rule('delete 1')
    await rule(`flow-type ip4 src-ip ${farAddress} action ${queue} loc 1`)
    await expect(flow, 'udp', queue)
    await expect(flow, 'tcp', queue)
    await expect(flow, 'experiment', queue)
    await rule('delete 1')
  })
  await test.check('VLANs, with the priority and without; two bytes of the frame', async () => {
    await guest.sh(`ethtool -K ${nic.name} rx-vlan-filter off`)
    await rule(`flow-type udp4 dst-port 7001 vlan 0x6005 action ${queue} loc 1`)
    await expect(flow, 'udp', queue, 0x6005)
    await expect(flow, 'udp', 'rss', 0x4005)
    await expect(flow, 'udp', 'rss', 0x6006)
    await expect(flow, 'udp', 'rss')
    await rule('delete 1')
    await rule(`flow-type udp4 dst-port 7001 vlan 5 m 0xf000 action ${queue} loc 1`)
    await expect(flow, 'udp', queue, 0x6005)
    await expect(flow, 'udp', queue, 5)
    await expect(flow, 'udp', 'rss', 6)
    await rule('delete 1')
    await rule(`flow-type udp4 dst-port 7001 vlan-etype 0x8100 action ${queue} loc 1`)
    await expect(flow, 'udp', queue, 9)
    await expect(flow, 'udp', 'rss')
    await rule('delete 1')
  })
}
