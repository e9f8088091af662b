/** The two ways through the code, in WebAssembly and in TypeScript: what the first takes, the second makes the same of. */
import { makeEnter } from '../../../src/apps/tunnel/enter.ts'
import { Fate } from '../../../src/apps/tunnel/fates.ts'
import { Headers } from '../../../src/apps/tunnel/headers.ts'
import { makeLeave } from '../../../src/apps/tunnel/leave.ts'
import type { TunnelFlags } from '../../../src/apps/tunnel/options.ts'
import { makePlainPath } from '../../../src/apps/tunnel/plain.ts'
import { Underlay } from '../../../src/apps/tunnel/underlay.ts'
import { allocateShared, releaseBlock } from '../../../src/linux/hugepages.ts'
import { PacketMemory, packetMemoryBytes } from '../../../src/memory/packets.ts'
import { WasmSpace } from '../../../src/memory/wasm-space.ts'
import { wordsOver } from '../../../src/packet/checksum.ts'
import { innerFrame, jobOf, random, SIDES } from './rig.ts'

const POOL_SHIFT = 6
const BUFFER_SHIFT = 11
const block = allocateShared(packetMemoryBytes(BUFFER_SHIFT, POOL_SHIFT, 1))
const memory = new PacketMemory(
  {
    ...{ address: block.address, pageIovas: new Float64Array([0]), pageBytes: 2 ** 30, pageOffset: 0 },
    ...{ bufferShift: BUFFER_SHIFT, poolShift: POOL_SHIFT, pools: 1 },
  },
  new WasmSpace(block),
)
afterAll(() => releaseBlock(block))
const batch = memory.batch(2)

/** Name, IP version outside, and of several networks how --map has them but for the other end, whose address is the same for all. */
const KINDS: [string, 4 | 6, Partial<TunnelFlags>, string[]?][] = [
  ['VXLAN over IPv4', 4, { encap: 'vxlan', vni: 0xabcdef }],
  ['VXLAN over IPv4 with checksums', 4, { encap: 'vxlan', vni: 42, udpChecksum: true, dscp: 'inherit' }],
  ['VXLAN over IPv6 in a VLAN', 6, { encap: 'vxlan', vni: 42, vlan: 7 }],
  ['VXLAN over IPv6 without checksums', 6, { encap: 'vxlan', vni: 42, udpChecksum: false, dscp: 46 }],
  ['Geneve over IPv4 in a VLAN', 4, { encap: 'geneve', vni: 42, vlan: 4094 }],
  ['Geneve over IPv6', 6, { encap: 'geneve', vni: 42 }],
  ['FOU over IPv4', 4, { encap: 'fou', port: 5555, port6: 5556 }],
  ['FOU over IPv4 in a VLAN with checksums', 4, { encap: 'fou', port: 5555, vlan: 7, udpChecksum: true }],
  ['FOU over IPv6, IPv4 only', 6, { encap: 'fou', port: 5555 }],
  ['VXLAN of a VLAN over IPv4', 4, { encap: 'vxlan' }, ['vlan=9,vni=42,']],
  [
    'VXLAN of VLANs and the rest, over IPv4',
    4,
    { encap: 'vxlan' },
    ['vlan=9,vni=1,', 'vlan=5,vni=2,', 'vni=3,'],
  ],
  [
    'VXLAN of VLANs over IPv6',
    6,
    { encap: 'vxlan', dscp: 'inherit' },
    ['vlan=9,vni=1,', 'vlan=5,vni=2,', 'vlan=4094,vni=3,'],
  ],
  [
    'Geneve of VLANs in a VLAN',
    4,
    { encap: 'geneve', vlan: 7 },
    ['vlan=5,vni=1,', 'vni=2,', 'vlan=9,vni=3,'],
  ],
  ['FOU of a VLAN over IPv4', 4, { encap: 'fou', port: 5555, port6: 5556 }, ['vlan=9,']],
  ['FOU of a VLAN with checksums', 4, { encap: 'fou', port: 5555, udpChecksum: true }, ['vlan=9,']],
  ['FOU of a VLAN over IPv6', 6, { encap: 'fou', port: 5555, port6: 5556 }, ['vlan=9,']],
  ['FOU over IPv6 in a VLAN', 6, { encap: 'fou', port: 5555, port6: 5556, vlan: 7, udpChecksum: false }],
]

function put(id: number, frame: Uint8Array): void {
  memory.u8.set(frame, memory.dataOffset(id))
  memory.size[id] = frame.length
}

function hex(id: number): string {
  const start = memory.dataOffset(id)
  return Buffer.from(memory.u8.slice(start, start + memory.size[id])).toString('hex')
}

describe.each(KINDS)('%s', (_, ip, flags, maps) => {
  const { a, b } = SIDES[ip]
  const to = (remote: string) =>
    maps === undefined ? { remote } : { map: maps.map((map) => `${map}remote=${remote}`) }
  const [here, there] = [jobOf({ ...flags, local: a, ...to(b) }), jobOf({ ...flags, local: b, ...to(a) })]
  const count = here.networks.length
  const underlay = new Underlay(here.underlay, 1, count, here.mtu)
  const [{ vlan: firstVlan }] = here.networks
  const vlan = firstVlan ?? undefined
  const headers = new Headers(here, underlay)
  const words = wordsOver(memory.u8)
  const enter = makeEnter(memory, words, headers, here)
  const hosts = Uint8Array.from(here.networks.flatMap((_, i) => [2, 0, 0, 0, i, 0xd]))
  const leave = makeLeave(memory, words, there, hosts)
  const plain = makePlainPath(memory, here, headers)
  const farHeaders = new Headers(there, new Underlay(there.underlay, 1, count, there.mtu))
  const end = makePlainPath(memory, there, farHeaders)
  end.change(farHeaders, hosts)
  memory.reset()
  memory.allocate(0, batch, 2)
  const [fast, slow] = batch

  test('nothing goes while the next hop is not known', () => {
    plain.change(headers, hosts)
    put(fast, innerFrame(4, { toMac: here.innerMac, vlan }))
    expect(plain.enter(batch, 0, 1)).toBe(0)
    underlay.learn(0, there.mac)
    headers.refresh()
    plain.change(headers, hosts)
    expect(plain.enter(batch, 0, 1)).toBe(1)
  })

  test('frames of all lengths and kinds, whole and damaged, there and out again', () => {
    const next = random(0x1e7)
    const tags = [
      ...here.networks.flatMap(({ vlan }) => [vlan ?? undefined, vlan ?? undefined]),
      9,
      undefined,
    ]
    const taken = { enter: 0, leave: 0 }
    const carried = { enter: 0, leave: 0 }
    for (let round = 0; round < 6000; round++) {
      const tag = maps === undefined ? [undefined, 9][+(next(8) === 0)] : tags[next(tags.length)]
      const payloadBytes = [0, 1, 2, next(40), next(300), next(1430)][next(6)]
      const frame = innerFrame(next(2) === 0 ? 4 : 6, {
        toMac: here.innerMac,
        payloadBytes,
        vlan: tag,
        trafficClass: next(256),
        sourcePort: next(65_536),
      })
      for (let change = next(6) - 3; change > 0; change--) frame[next(Math.min(frame.length, 60))] = next(256)
      // Some are cut off, some padded.
      const kind = next(10)
      const bytes = kind === 0 ? 14 + next(frame.length - 14) : frame.length + (kind === 1 ? next(20) : 0)
      const sent = new Uint8Array(bytes)
      sent.set(frame.subarray(0, bytes))
      put(fast, sent)
      put(slow, sent)
      const done = plain.enter(batch, 0, 1)
      const network = enter(slow)
      taken.enter += done
      if (done === 1 ? hex(fast) !== hex(slow) : hex(fast) !== Buffer.from(sent).toString('hex'))
        throw new Error(
          `round ${round}: of ${Buffer.from(sent).toString('hex')} became ${hex(fast)}, not ${hex(slow)}`,
        )
      if (network < 0) continue
      carried.enter++

      const start = memory.dataOffset(slow)
      const outer = memory.u8.slice(start, start + memory.size[slow])
      for (let change = next(6) - 4; change > 0; change--)
        outer[next(Math.min(outer.length, 100))] ^= 1 << next(8)
      const arrived = outer.subarray(0, next(10) === 0 ? next(outer.length) : outer.length)
      put(fast, arrived)
      put(slow, arrived)
      const out = end.leave(batch, 0, 1)
      const fate = leave(slow)
      taken.leave += out
      if (fate === Fate.decapsulated) carried.leave++
      const right =
        out === 1
          ? fate === Fate.decapsulated && hex(fast) === hex(slow)
          : hex(fast) === Buffer.from(arrived).toString('hex')
      if (!right)
        throw new Error(`round ${round}: ${Buffer.from(arrived).toString('hex')}: ${out}, fate ${fate}`)
    }
    // Most of what is carried is plain.
    expect(taken.enter).toBeGreaterThan(carried.enter * 0.6)
    expect(taken.leave).toBeGreaterThan(carried.leave * 0.6)
    expect(carried.leave).toBeGreaterThan(500)
  })

  test('the rest of a batch is left where one is not plain', () => {
    const ids = memory.batch(4)
    memory.reset()
    memory.allocate(0, ids, 4)
    ids.forEach((id, i) => put(id, innerFrame(4, { toMac: here.innerMac, vlan: i === 2 ? 8 : vlan })))
    expect(plain.enter(ids, 0, 4)).toBe(2)
    expect(plain.enter(ids, 3, 4)).toBe(4)
    expect([...ids].map((id) => memory.size[id] > 70)).toEqual([true, true, false, true])
  })
})

test('of two networks whose identifiers end with the same 12 bits, packets of the second are left to the other way', () => {
  const { a, b } = SIDES[4]
  const jobs = [
    [a, b],
    [b, a],
  ].map(([local, remote]) =>
    jobOf({
      encap: 'vxlan',
      local,
      map: ['vlan=9,vni=5', 'vlan=5,vni=4101'].map((map) => `${map},remote=${remote}`),
    }),
  )
  const [here, there] = jobs.map((job) => {
    const underlay = new Underlay(job.underlay, 1, 2, job.mtu)
    underlay.learn(0, jobs[1].mac)
    const headers = new Headers(job, underlay)
    headers.refresh()
    const path = makePlainPath(memory, job, headers)
    path.change(headers, new Uint8Array(12))
    return path
  })
  const ids = memory.batch(4)
  memory.reset()
  memory.allocate(0, ids, 4)
  const frames = [9, 5, 9, 5].map((vlan) => innerFrame(4, { vlan }))
  ids.forEach((id, i) => put(id, frames[i]))
  expect(here.enter(ids, 0, 4)).toBe(4)
  const second = hex(ids[1])
  expect(there.leave(ids, 0, 4)).toBe(1)
  expect([hex(ids[0]), hex(ids[1])]).toEqual([Buffer.from(frames[0]).toString('hex'), second])
  expect(there.leave(ids, 1, 4)).toBe(1)
  expect(there.leave(ids, 2, 4)).toBe(3)
})
