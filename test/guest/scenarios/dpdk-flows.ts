/** Rules of testpmd's `flow create`: DPDK makes filters of the card of them, and testpmd shows by which queue a frame came. */
import assert from 'node:assert/strict'
import { type Flow, type Protocol, ethernet, ipPacket } from '../harness/frames.ts'
import { until } from '../harness/processes.ts'
import type { Testpmd } from '../harness/testpmd.ts'
import { toeplitz } from '../harness/toeplitz.ts'
import { type DpdkBench, MAC_A, MAC_B } from './dpdk-bench.ts'
import { rssByKey } from './dpdk-offloads.ts'
import { MICROSOFT_KEY } from './toeplitz-vectors.ts'

const QUEUES = 4
const FRAMES = 5
/** One frame more tells that all before it have come or gone. */
const LAST = 'the last one'

const FLOW: Flow = { from: '10.77.8.1', fromPort: 1111, to: '10.77.8.2', toPort: 2222 }
const OTHER: Flow = { ...FLOW, toPort: 2223 }
const FLOW6: Flow = { ...FLOW, from: '2001:db8::1', to: '2001:db8::2' }

interface Rules {
  readonly bench: DpdkBench
  readonly testpmd: Testpmd
}

/** testpmd has four queues, RSS by Microsoft's key over all of it, shows every packet, and runs. */
export async function flowRules(bench: DpdkBench, testpmd: Testpmd): Promise<void> {
  const rules = { bench, testpmd }
  await queueFilters(rules)
  await perfectFilters(rules)
  await signatureFilters(rules)
}

/** Sends frames; returns the queues that they came by. */
async function queuesOf({ bench, testpmd }: Rules, frames: readonly Buffer[]): Promise<number[]> {
  const before = (await testpmd.output()).length
  const last = ethernet(MAC_B, MAC_A, 0x88b6, Buffer.from(LAST))
  await bench.farA.send([...frames, last])
  let seen: RegExpMatchArray[] = []
  await until('the last frame at testpmd', 20, async () => {
    const output = (await testpmd.output()).slice(before)
    seen = [...output.matchAll(/type=0x([0-9a-f]{4}) - .*Receive queue=0x([0-9a-f]+)/g)]
    return seen.some(([, type]) => type === '88b6')
  })
  return seen.filter(([, type]) => type !== '88b6').map(([, , queue = '']) => Number.parseInt(queue, 16))
}

function frameOf(flow: Flow, protocol: Protocol): Buffer {
  const { type, payload } = ipPacket(flow, protocol)
  return ethernet(MAC_B, MAC_A, type, payload)
}

function syn(flow: Flow): Buffer {
  const frame = frameOf(flow, 'tcp')
  frame[47] = 2
  return frame
}

function rssQueue(frame: Buffer, ports: boolean): number {
  const six = frame.readUInt16BE(12) === 0x86dd
  const [from, to] = six ? [22, 54] : [26, 34]
  return (
    (toeplitz(Buffer.from(MICROSOFT_KEY, 'hex'), frame.subarray(from, ports ? to + 4 : to)) & 127) % QUEUES
  )
}

/** Five of these frames come by `queue`; null: none comes. */
async function expect(rules: Rules, frame: Buffer, queue: number | null): Promise<void> {
  const expected = queue === null ? [] : Array<number>(FRAMES).fill(queue)
  assert.deepEqual(await queuesOf(rules, Array<Buffer>(FRAMES).fill(frame)), expected)
}

/** A queue that RSS doesn't choose for the frame. */
const otherQueue = (frame: Buffer, add = 1): number => (rssQueue(frame, true) + add) % QUEUES

async function create({ testpmd }: Rules, rule: string): Promise<string> {
  const output = await testpmd.command(`flow create 0 ${rule}`)
  const number = /Flow rule #(\d+) created/.exec(output)?.[1]
  assert.ok(number !== undefined, output)
  return number
}

async function destroy({ testpmd }: Rules, number: string): Promise<void> {
  assert.match(await testpmd.command(`flow destroy 0 rule ${number}`), /Flow rule #\d+ destroyed/)
}

async function queueFilters(rules: Rules): Promise<void> {
  const { test } = rules.bench
  const udp = frameOf(FLOW, 'udp')
  const tcp = frameOf(FLOW, 'tcp')
  await test.check('flow create: an EtherType', async () => {
    const frame = ethernet(MAC_B, MAC_A, 0x88b5, Buffer.alloc(100))
    await expect(rules, frame, 0)
    const rule = await create(rules, 'ingress pattern eth type is 0x88b5 / end actions queue index 3 / end')
    await expect(rules, frame, 3)
    await destroy(rules, rule)
    await expect(rules, frame, 0)
  })
  await test.check('flow create: an IPv4 5-tuple, and one of a higher priority', async () => {
    const [first, second] = [otherQueue(udp), otherQueue(udp, 2)]
    const exact = `ipv4 src is ${FLOW.from} dst is ${FLOW.to} proto is 17 / udp src is ${FLOW.fromPort} dst is ${FLOW.toPort}`
    const one = await create(rules, `ingress pattern eth / ${exact} / end actions queue index ${first} / end`)
    await expect(rules, udp, first)
    await expect(rules, tcp, rssQueue(tcp, true))
    await expect(rules, frameOf(OTHER, 'udp'), rssQueue(frameOf(OTHER, 'udp'), true))
    const wide = `ipv4 dst is ${FLOW.to} proto is 17`
    const two = await create(
      rules,
      `priority 7 ingress pattern eth / ${wide} / udp / end actions queue index ${second} / end`,
    )
    await expect(rules, udp, second)
    await expect(rules, frameOf(OTHER, 'udp'), second)
    await destroy(rules, two)
    await expect(rules, udp, first)
    await destroy(rules, one)
    await expect(rules, udp, rssQueue(udp, true))
  })
  await test.check('flow create: TCP SYN, behind the 5-tuples and before them', async () => {
    const [first, second] = [otherQueue(tcp), otherQueue(tcp, 2)]
    const flags = 'eth / ipv4 / tcp flags spec 0x02 flags mask 0x02 / end'
    let rule = await create(rules, `ingress pattern ${flags} actions queue index ${first} / end`)
    await expect(rules, syn(FLOW), first)
    await expect(rules, tcp, rssQueue(tcp, true))
    const tuple = await create(
      rules,
      `ingress pattern eth / ipv4 src is ${FLOW.from} proto is 6 / tcp / end actions queue index ${second} / end`,
    )
    await expect(rules, syn(FLOW), second)
    await destroy(rules, rule)
    rule = await create(
      rules,
      `priority 4294967295 ingress pattern ${flags} actions queue index ${first} / end`,
    )
    await expect(rules, syn(FLOW), first)
    await expect(rules, tcp, second)
    await destroy(rules, rule)
    await destroy(rules, tuple)
  })
}

/** Flow Director's counters of port 0, and how much they have grown since. */
async function counters({ testpmd }: Rules): Promise<() => Promise<Record<string, number>>> {
  const read = async (): Promise<Map<string, number>> => {
    const output = await testpmd.command('show port xstats 0')
    return new Map(
      [...output.matchAll(/^flow_director_(\w+): (\d+)$/gm)].map(([, name = '', count]) => [
        name,
        Number(count),
      ]),
    )
  }
  const before = await read()
  return async () => {
    const after = await read()
    return Object.fromEntries(
      [...after]
        .map(([name, count]) => [name, count - (before.get(name) ?? 0)])
        .filter(([, grown]) => grown !== 0),
    )
  }
}

const marked = (queue: number, mark: number): string => `actions queue index ${queue} / mark id ${mark} / end`

async function perfectFilters(rules: Rules): Promise<void> {
  const { bench, testpmd } = rules
  const [udp, other] = [frameOf(FLOW, 'udp'), frameOf(OTHER, 'udp')]
  const bare = frameOf(FLOW, 'experiment')
  const addresses = `ipv4 src is ${FLOW.from} dst is ${FLOW.to}`
  const queue = otherQueue(udp)
  await bench.test.check(
    'flow create: Flow Director, perfect: queue, counts, a stop and start of the port',
    async () => {
      const grown = await counters(rules)
      const exact = `eth / ${addresses} / udp src is ${FLOW.fromPort} dst is ${FLOW.toPort} / end`
      const one = await create(rules, `ingress pattern ${exact} ${marked(queue, 0x123)}`)
      await expect(rules, udp, queue)
      await expect(rules, other, rssQueue(other, true))
      await expect(rules, bare, rssQueue(bare, false))
      assert.deepEqual(await grown(), { added_filters: 1, matched_filters: 5, missed_filters: 10 })
      await testpmd.commands('stop', 'port stop 0', 'port start 0', 'start')
      // It starts with a key of its own.
      await testpmd.commands(...rssByKey)
      await expect(rules, udp, queue)
      await destroy(rules, one)
      await expect(rules, udp, rssQueue(udp, true))
    },
  )
  await bench.test.check('flow create: Flow Director, perfect, drops', async () => {
    const grown = await counters(rules)
    // DPDK refuses to drop by ports on this card.
    const two = await create(rules, `ingress pattern eth / ${addresses} / end actions drop / end`)
    await expect(rules, bare, null)
    const another = frameOf({ ...FLOW, to: '10.77.8.3' }, 'experiment')
    await expect(rules, another, rssQueue(another, false))
    assert.deepEqual(await grown(), { added_filters: 1, matched_filters: 5, missed_filters: 5 })
    await destroy(rules, two)
    await expect(rules, bare, rssQueue(bare, false))
  })
}

async function signatureFilters(rules: Rules): Promise<void> {
  const { bench, testpmd } = rules
  const [udp, udp6, other] = [frameOf(FLOW, 'udp'), frameOf(FLOW6, 'udp'), frameOf(OTHER, 'udp')]
  await bench.test.check('flow create: Flow Director, signatures, of IPv4 and IPv6', async () => {
    await testpmd.command('flow flush 0')
    const ports = `udp src is ${FLOW.fromPort} dst is ${FLOW.toPort} / end`
    const four = `ipv4 src is ${FLOW.from} dst is ${FLOW.to}`
    const six = `ipv6 src is ${FLOW6.from} dst is ${FLOW6.to}`
    const [first, second] = [otherQueue(udp), otherQueue(udp6)]
    await create(
      rules,
      `ingress pattern fuzzy thresh is 1 / eth / ${four} / ${ports} actions queue index ${first} / end`,
    )
    await create(
      rules,
      `ingress pattern fuzzy thresh is 1 / ${six} / ${ports} actions queue index ${second} / end`,
    )
    const grown = await counters(rules)
    await expect(rules, udp, first)
    await expect(rules, udp6, second)
    await expect(rules, other, rssQueue(other, true))
    assert.deepEqual(await grown(), { matched_filters: 10, missed_filters: 5 })
    await testpmd.command('flow flush 0')
    await expect(rules, udp, rssQueue(udp, true))
  })
}
