/** What the card computes for DPDK: hashes, checksums, segments, VLAN tags. testpmd tells, or the wire shows. */
import assert from 'node:assert/strict'
import { wrongChecksums } from '../harness/checksums.ts'
import { type Flow, type Protocol, ethernet, ipPacket, tagged } from '../harness/frames.ts'
import type { FarEnd } from '../harness/host-network.ts'
import { until } from '../harness/processes.ts'
import { Testpmd } from '../harness/testpmd.ts'
import { toeplitz } from '../harness/toeplitz.ts'
import { type DpdkBench, MAC_A, MAC_B, through } from './dpdk-bench.ts'
import { MICROSOFT_KEY, VECTORS } from './toeplitz-vectors.ts'

/** `count` flows, IPv4 and IPv6 in turn. */
function flows(count: number): Flow[] {
  return Array.from({ length: count }, (_, i) => {
    const [low, high] = [1 + ((i * 37) % 250), 1 + ((i * 101) % 250)]
    const ports = { fromPort: 1024 + i * 331, toPort: 2048 + i * 97 }
    return i % 2 === 0
      ? { from: `10.${i}.${high}.${low}`, to: `192.168.${low}.${high}`, ...ports }
      : { from: `2001:db8::${low}:${high}`, to: `fd00:${i}::${high}:${low}`, ...ports }
  })
}

function frameOf(flow: Flow, protocol: Protocol, options?: Parameters<typeof ipPacket>[2]): Buffer {
  const { type, payload } = ipPacket(flow, protocol, options)
  return ethernet(MAC_B, MAC_A, type, payload)
}

/** What is hashed: the addresses, and the ports if `ports`. */
function hashed(frame: Buffer, ports: boolean): Buffer {
  const v6 = frame.readUInt16BE(12) === 0x86dd
  const [from, to] = v6 ? [22, 54] : [26, 34]
  return frame.subarray(from, ports ? to + 4 : to)
}

/** To testpmd: the key, which takes all but one kind of packets out of what is hashed, and all kinds again. */
export const rssByKey = [`port config 0 rss-hash-key ipv4 ${MICROSOFT_KEY}`, 'port config all rss all']

/** `testpmd` has four queues and only receives. */
export async function receiveSideScaling({ test, farA }: DpdkBench, testpmd: Testpmd): Promise<void> {
  const key = Buffer.from(MICROSOFT_KEY, 'hex')
  await test.check("RSS: the harness's hash is Microsoft's", () => {
    for (const vector of VECTORS) {
      const frame = frameOf(vector, 'tcp')
      assert.equal(toeplitz(key, hashed(frame, true)), vector.hashWithPorts)
      assert.equal(toeplitz(key, hashed(frame, false)), vector.hash)
    }
  })
  await test.check('RSS: 128 hashes of TCP, UDP and IP are right, and so are the queues', async () => {
    await testpmd.commands(...rssByKey, 'set verbose 1', 'start')
    const protocols: readonly Protocol[] = ['tcp', 'udp', 'experiment']
    const frames = flows(128).map((flow, i) => ({ flow, protocol: protocols[i % 3] ?? 'tcp' }))
    const expected = frames.map(({ flow, protocol }) => {
      const hash = toeplitz(key, hashed(frameOf(flow, protocol), protocol !== 'experiment'))
      return `hash=0x${hash.toString(16)} queue=0x${((hash & 127) % 4).toString(16)}`
    })
    await farA.send(frames.map(({ flow, protocol }) => frameOf(flow, protocol)))
    let seen: string[] = []
    await until('128 frames at testpmd', 20, async () => {
      const output = await testpmd.output()
      seen = [...output.matchAll(/RSS hash=0x([0-9a-f]+) - RSS queue=0x([0-9a-f]+)/g)].map(
        ([, hash, queue]) => `hash=0x${hash} queue=0x${queue}`,
      )
      return seen.length >= expected.length
    })
    assert.deepEqual(seen.sort(), expected.sort())
  })
}

/** The frames that come out, IP only. */
async function comesOut(to: FarEnd, count: number): Promise<Buffer[]> {
  const frames: Buffer[] = []
  await until(`${count} frames come out`, 20, async () => {
    frames.push(...(await to.collect()).filter((frame) => [0x0800, 0x86dd].includes(frame.readUInt16BE(12))))
    return frames.length >= count
  })
  return frames
}

/** One testpmd for all of it: its start is what takes time. */
export async function offloads(bench: DpdkBench): Promise<void> {
  const options = '--enable-rx-cksum --forward-mode=csum'
  const testpmd = await Testpmd.start(bench.guest, `--iova-mode=pa ${bench.both}`, options)
  await checksums(bench, testpmd)
  await segmentation(bench, testpmd)
  await vlans(bench, testpmd)
  await testpmd.quit()
}

async function checksums({ test, farA, farB }: DpdkBench, testpmd: Testpmd): Promise<void> {
  const parts = ['ip', 'udp', 'tcp', 'sctp'].map((part) => `csum set ${part} hw 1`)
  await testpmd.commands('port stop all', ...parts, 'port start all', 'start')
  const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp']
  const frames = flows(60).map((flow, i) =>
    frameOf(flow, protocols[i % 3] ?? 'tcp', { data: Buffer.alloc(4 + ((i * 20) % 200), i), wrong: true }),
  )
  await test.check('csum: IPv4, TCP, UDP and SCTP checksums are put right', async () => {
    for (const frame of frames) assert.notDeepEqual(wrongChecksums(frame), [])
    await farB.collect()
    await farA.send(frames)
    const out = await comesOut(farB, frames.length)
    assert.deepEqual(out.map(wrongChecksums).flat(), [])
  })
  await test.check('csum: wrong checksums are told on receive', async () => {
    const output = await testpmd.command('stop')
    // Half of the frames are IPv4. Of SCTP the card tells nothing, and of UDP DPDK doesn't believe this card.
    assert.match(output, /Bad-ipcsum: 30 +Bad-l4csum: 20 /)
  })
}

async function segmentation({ test, farA, farB }: DpdkBench, testpmd: Testpmd): Promise<void> {
  await testpmd.commands('port stop all', 'tso set 400 1', 'port start all', 'start')
  await test.check('TSO: 1400 bytes become segments of 400, whose headers are right', async () => {
    for (const flow of flows(4)) {
      const data = Buffer.from(Array.from({ length: 1400 }, (_, i) => (i * 7) & 255))
      await farB.collect()
      await farA.send([frameOf(flow, 'tcp', { data })])
      const out = await comesOut(farB, 4)
      const header = out[0]?.readUInt16BE(12) === 0x86dd ? 74 : 54
      assert.deepEqual(out.map(wrongChecksums).flat(), [])
      assert.deepEqual(
        out.map((frame) => frame.readUInt32BE(header - 16)),
        [1, 401, 801, 1201],
      )
      const lengths = [400, 400, 400, 200]
      assert.deepEqual(
        Buffer.concat(out.map((frame, i) => frame.subarray(header, header + (lengths[i] ?? 0)))),
        data,
      )
      assert.deepEqual(
        out.map((frame) => frame.length - header),
        lengths,
      )
    }
  })
  await testpmd.command('stop')
}

async function vlans({ test, farA, farB }: DpdkBench, testpmd: Testpmd): Promise<void> {
  const frame = ethernet(MAC_B, MAC_A, 0x88b5, Buffer.from('the payload'.padEnd(100)))
  const rest = (bytes: Buffer): string => bytes.toString('hex', 12)
  await testpmd.commands('set fwd mac', 'start')
  await test.check('VLAN: a tag passes, and is taken off when the card is to strip', async () => {
    assert.deepEqual(await through(farA, farB, [tagged(frame, 42)], 1), [rest(tagged(frame, 42))])
    await testpmd.command('vlan set strip on 0')
    assert.deepEqual(await through(farA, farB, [tagged(frame, 42)], 1), [rest(frame)])
  })
  await test.check('VLAN: the filter lets pass what was added', async () => {
    await testpmd.commands('vlan set strip off 0', 'vlan set filter on 0', 'rx_vlan add 43 0')
    const sent = [tagged(frame, 42), tagged(frame, 43), tagged(frame, 44), frame]
    const expected = [rest(tagged(frame, 43)), rest(frame)]
    assert.deepEqual(await through(farA, farB, sent, 2), expected)
    await testpmd.command('vlan set filter off 0')
  })
  await test.check('VLAN: a tag is put in', async () => {
    await testpmd.commands('stop', 'port stop 1', 'tx_vlan set 1 77', 'port start 1', 'start')
    assert.deepEqual(await through(farA, farB, [frame], 1), [rest(tagged(frame, 77))])
  })
}
