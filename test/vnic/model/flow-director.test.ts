/** Flow Director (82599 §7.1.2.7). */
import { get, put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { flowHost, type Flow, Flows } from './flows.ts'
import { frameOf, type Host, RX_RING } from './host.ts'
import { ipv6, sctp4, tcp4, tcp6, udp4 } from './packets.ts'
import { steer } from './queues.ts'

const { REPORT_STATUS, REPORT_STATUS_ALWAYS, PERFECT_MATCH, FLEX_OFFSET, MAX_LENGTH, FULL_THRESH } =
  REG.FDIRCTRL.fields
const { VLAN_ID, VLAN_PRIORITY, L4_TYPE, FLEX } = REG.FDIRM.fields
const { FILTER_VALID, FILTER_UPDATE, COLLISION, CLEARHT } = REG.FDIRCMD.fields

/** Bits of word 2 of the descriptor. */
const [MATCH, LENGTH, DROP, COLLIDED] = [1 << 2, 1 << 20, 1 << 21, 1 << 22]
const NO_TAG = VLAN_ID.mask | VLAN_PRIORITY.mask

const IPV4 = 0x0800
const [FROM, TO] = ['192.168.0.1', '192.168.0.2']
const udp = (): Uint8Array => udp4(FROM, 1024, TO, 1024)
const tcp = (): Uint8Array => tcp4(FROM, 1024, TO, 1024)

/** An IPv4 packet of a protocol that has no ports. */
function bare(protocol = 0): Uint8Array {
  const frame = udp()
  frame[23] = protocol
  return frame
}

function tagged(frame: Uint8Array, tag: number): Uint8Array {
  return Uint8Array.from([...frame.slice(0, 12), 0x81, 0x00, tag >> 8, tag & 0xff, ...frame.slice(12)])
}

function udp6(from: string, sport: number, to: string, dport: number): Uint8Array {
  const frame = tcp6(from, sport, to, dport)
  frame[20] = 17
  return frame
}

/** Delivers a frame; returns its queue, what the descriptor reports of Flow Director, and its status bits. */
function direct(
  host: Host,
  frame: Uint8Array,
): { queue: number; hash: number; id: number; type: number; status: number } {
  const { queue, hash, word0, status } = steer(host, frame)
  const errors = MATCH | LENGTH | DROP | COLLIDED
  return { queue, hash: hash >>> 16, id: hash & 0xffff, type: word0 & 0xf, status: status & errors }
}

const REPORTED = { type: 0xf, status: MATCH }
const UNTOUCHED = { queue: 0, hash: 0, id: 0, type: 0, status: 0 }

/**
 * Hashes and signatures that a real 82599 reported of these packets: the plan of DPDK's tests of Flow Director
 * (dts, fdir_test_plan) prints them, with 64 KiB of filters.
 */
describe('hashes and signatures are those of a real card', () => {
  const [SIX, OTHER_SIX] = [
    '2001:0db8:85a3:0000:0000:8a2e:0370:7000',
    '2001:0db8:85a3:0000:0000:8a2e:0370:7338',
  ]

  test.each<[string, Uint8Array, number, number, Flow]>([
    ['UDP', udp(), 0x143c, 0xe230, { type: 'udp', from: FROM, to: TO, sport: 1024, dport: 1024, flex: IPV4 }],
    ['TCP', tcp(), 0x1b47, 0xbd2b, { type: 'tcp', from: FROM, to: TO, sport: 1024, dport: 1024, flex: IPV4 }],
    ['IP', bare(), 0x1681, 0xf3ed, { type: 'ip', from: FROM, to: TO, flex: IPV4 }],
    [
      'UDP over IPv6',
      udp6(SIX, 1024, OTHER_SIX, 1024),
      0x04aa,
      0xea83,
      { type: 'udp6', from: SIX, to: OTHER_SIX, sport: 1024, dport: 1024, flex: 0x86dd },
    ],
  ])('signature filter, %s', (_name, frame, hash, id, flow) => {
    const host = flowHost(REPORT_STATUS.mask)
    expect(direct(host, frame)).toEqual(UNTOUCHED)
    new Flows(host).add(flow, 1)
    expect(direct(host, frame)).toEqual({ queue: 1, hash, id, ...REPORTED })
  })

  const perfect = (masks: Parameters<typeof flowHost>[1] = {}, control = 0): Host =>
    flowHost(PERFECT_MATCH.mask | REPORT_STATUS.mask | control, { FDIRM: NO_TAG, ...masks })

  test.each<[string, Host, Uint8Array[], number, Flow]>([
    [
      'UDP',
      perfect(),
      [udp()],
      0x43c,
      { type: 'udp', from: FROM, to: TO, sport: 1024, dport: 1024, flex: IPV4 },
    ],
    [
      'TCP',
      perfect(),
      [tcp()],
      0x347,
      { type: 'tcp', from: FROM, to: TO, sport: 1024, dport: 1024, flex: IPV4 },
    ],
    ['IP', perfect(), [bare()], 0x681, { type: 'ip', from: FROM, to: TO, flex: IPV4 }],
    [
      'addresses of 24 bits',
      perfect({ FDIRSIP4M: 0xff000000, FDIRDIP4M: 0xff000000 }),
      [udp4(FROM, 1024, FROM, 1024), udp4('192.168.0.15', 1024, '192.168.0.15', 1024)],
      0x6cf,
      { type: 'udp', from: '192.168.0.0', to: '192.168.0.0', sport: 1024, dport: 1024, flex: IPV4 },
    ],
    [
      'the upper bytes of ports',
      perfect({ FDIRUDPM: 0xff00ff00, FDIRTCPM: 0xff00ff00 }),
      [udp4('10.11.12.1', 0x4400, '10.11.12.2', 0x4500), udp4('10.11.12.1', 0x4411, '10.11.12.2', 0x4517)],
      0x41d,
      { type: 'udp', from: '10.11.12.1', to: '10.11.12.2', sport: 0x4400, dport: 0x4500, flex: IPV4 },
    ],
    [
      'any protocol',
      perfect({ FDIRM: NO_TAG | L4_TYPE.mask, FDIRUDPM: 0xffffffff, FDIRTCPM: 0xffffffff }),
      [udp(), tcp(), bare()],
      0x681,
      { type: 'ip', from: FROM, to: TO, flex: IPV4 },
    ],
    [
      'a VLAN',
      perfect({ FDIRM: 0 }),
      [tagged(udp(), 0xfff)],
      0x7e9,
      { type: 'udp', from: FROM, to: TO, sport: 1024, dport: 1024, flex: 0x8100, vlan: 0xfff },
    ],
    [
      'any VLAN',
      perfect(),
      [tagged(udp(), 1), tagged(udp(), 0x17)],
      0x7e8,
      { type: 'udp', from: FROM, to: TO, sport: 1024, dport: 1024, flex: 0x8100 },
    ],
    [
      'flexible bytes',
      perfect({}, put(FLEX_OFFSET, 18)),
      [Uint8Array.from(bare(47)).fill(0, 34, 37).fill(1, 37, 38)],
      0x18b,
      { type: 'ip', from: FROM, to: TO, flex: 1 },
    ],
    [
      'no flexible bytes',
      perfect({ FDIRM: NO_TAG | FLEX.mask }),
      [bare(47)],
      0x2f3,
      { type: 'ip', from: FROM, to: TO },
    ],
  ])('perfect filter, %s', (_name, host, frames, hash, flow) => {
    for (const frame of frames) expect(direct(host, frame)).toEqual(UNTOUCHED)
    new Flows(host).add(flow, 2, { id: 0x17 })
    for (const frame of frames) expect(direct(host, frame)).toEqual({ queue: 2, hash, id: 0x17, ...REPORTED })
    expect(host.breaches()).toEqual([])
  })
})

/** Compares everything but VLAN tag and flexible bytes. */
const PERFECT = { FDIRM: NO_TAG | FLEX.mask }
const FLOW: Flow = { type: 'udp', from: FROM, to: TO, sport: 1024, dport: 1024 }

function perfectHost(control = 0, fast = false): { host: Host; flows: Flows } {
  const host = flowHost(PERFECT_MATCH.mask | control, PERFECT, { fast })
  return { host, flows: new Flows(host) }
}

describe('perfect filters', () => {
  test.each([
    ['the long way', false],
    ['in bursts, and a card that does not look', true],
  ])('match when every field does, %s', (_name, fast) => {
    const { host, flows } = perfectHost(0, fast)
    flows.add(FLOW, 3)
    expect(direct(host, udp())).toMatchObject({ queue: 3, type: 0, status: MATCH })
    for (const other of [
      udp4('192.168.0.3', 1024, TO, 1024),
      udp4(FROM, 1024, '192.168.0.3', 1024),
      udp4(FROM, 1025, TO, 1024),
      udp4(FROM, 1024, TO, 1025),
      tcp(),
      bare(),
      frameOf(60),
    ])
      expect(direct(host, other)).toEqual(UNTOUCHED)
    expect([host.read(REG.FDIRMATCH), host.read(REG.FDIRMISS)]).toEqual([1, 6])
    expect([host.read(REG.FDIRMATCH), host.read(REG.FDIRMISS)]).toEqual([0, 0])
    expect(host.breaches()).toEqual([])
  })

  test('without FDIRCMD.QUEUE_EN leave the queue alone', () => {
    const { host, flows } = perfectHost()
    flows.add(FLOW, null)
    expect(direct(host, udp())).toMatchObject({ queue: 0, status: MATCH })
  })

  test('of IPv6 compare the source, the ports and the protocol', () => {
    const { host, flows } = perfectHost()
    flows.add({ type: 'udp6', from: 'fe80::1', sport: 5, dport: 6 }, 2)
    expect(direct(host, udp6('fe80::1', 5, 'fe80::2', 6))).toMatchObject({ queue: 2 })
    expect(direct(host, udp6('fe80::1', 5, 'fe80::3', 6))).toMatchObject({ queue: 2 })
    expect(direct(host, udp6('fe80::4', 5, 'fe80::2', 6))).toMatchObject({ queue: 0 })
    expect(direct(host, tcp6('fe80::1', 5, 'fe80::2', 6))).toMatchObject({ queue: 0 })
    host.write(REG.FDIRIP6M, 0xffff)
    flows.add({ type: 'udp6', sport: 5, dport: 6 }, 3)
    expect(direct(host, udp6('fe80::4', 5, 'fe80::2', 6))).toMatchObject({ queue: 3 })
    expect(host.breaches()).toEqual([])
  })

  test("do not know the card's own IPv6 address, and one that asks for it is not added", () => {
    const { host, flows } = perfectHost()
    flows.add({ type: 'udp6', from: 'fe80::1' }, 2, { command: REG.FDIRCMD.fields.IPV6DMATCH.mask })
    expect(direct(host, udp6('fe80::1', 0, 'fe80::2', 0)).queue).toBe(0)
    expect([host.read(REG.FDIRFSTAT), host.read(REG.FDIRUSTAT)]).toEqual([1, 0])
  })

  test('of SCTP and of fragments see no ports', () => {
    const { host, flows } = perfectHost()
    flows.add({ type: 'sctp', from: '10.0.0.1', to: '10.0.0.2' }, 2)
    expect(direct(host, sctp4())).toMatchObject({ queue: 2 })
    const fragment = udp()
    fragment[20] = 0x20
    flows.add(FLOW, 1)
    expect(direct(host, fragment)).toMatchObject({ queue: 0 })
    flows.add({ type: 'ip', from: FROM, to: TO }, 3)
    expect(direct(host, fragment)).toMatchObject({ queue: 3 })
  })

  test('drop into a queue that is off, which counts', () => {
    const { host, flows } = perfectHost()
    flows.add(FLOW, 'drop')
    host.wire.waiting.push(udp())
    host.poll()
    expect(host.wire.delivered).toEqual([false])
    expect([host.read(REG.QPRDC), host.read(REG.FDIRMATCH)]).toEqual([1, 1])
    flows.remove(FLOW)
    expect(direct(host, udp())).toEqual(UNTOUCHED)
  })

  test('with all to compare, agree with a comparison field by field', () => {
    const { host, flows } = perfectHost()
    const pick = (values: readonly number[], seed: number): number => values[seed % values.length]
    const flow = (n: number): Flow & { sport: number; dport: number; from: string; to: string } => ({
      type: n % 2 === 0 ? 'udp' : 'tcp',
      from: `10.0.0.${pick([1, 2, 200], n)}`,
      to: `10.0.${pick([1, 250], n >> 2)}.9`,
      sport: pick([1, 0x8001, 0xffff], n >> 3),
      dport: pick([2, 0x8000], n >> 5),
    })
    const queues = new Map<string, number>()
    for (let n = 0; n < 128; n += 3) {
      const key = JSON.stringify(flow(n))
      if (!queues.has(key)) flows.add(flow(n), 1 + (n % 3), { id: n })
      if (!queues.has(key)) queues.set(key, 1 + (n % 3))
    }
    let matches = 0
    for (let n = 0; n < 128; n++) {
      const { type, from, sport, to, dport } = flow(n)
      const frame = (type === 'udp' ? udp4 : tcp4)(from, sport, to, dport)
      const queue = queues.get(JSON.stringify(flow(n)))
      const found = direct(host, frame).queue
      expect([n, found]).toEqual([n, queue ?? 0])
      // The descriptor is the card's again.
      host.write(REG.RDT, (host.read(REG.RDT, found) + 1) % 64, found)
      host.armReceive(host.read(REG.RDT, found), 2, RX_RING + found * 0x1000)
      if (queue !== undefined) matches++
    }
    expect(host.read(REG.FDIRMATCH)).toBe(matches)
    expect(host.read(REG.FDIRMISS)).toBe(128 - matches)
    expect(host.breaches()).toEqual([])
  })
})

describe('programming', () => {
  test('updates, collides, is queried and removed', () => {
    const { host, flows } = perfectHost()
    const { FREE, COLL } = REG.FDIRFREE.fields
    const counts = (): number[] => [FREE, COLL].map((field) => get(field, host.read(REG.FDIRFREE)))
    expect(counts()).toEqual([2048, 0])
    expect(flows.query(FLOW, 7) & FILTER_VALID.mask).toBe(0)
    flows.add(FLOW, 1, { id: 7 })
    expect(counts()).toEqual([2047, 0])
    expect(flows.query(FLOW, 7) & FILTER_VALID.mask).not.toBe(0)
    expect(flows.query(FLOW, 8) & FILTER_VALID.mask).toBe(0)
    flows.add(FLOW, 2, { id: 7, command: FILTER_UPDATE.mask })
    expect(direct(host, udp())).toMatchObject({ queue: 2, status: MATCH })
    flows.add(FLOW, 3, { id: 7 })
    expect(direct(host, udp())).toMatchObject({ queue: 2, status: MATCH | COLLIDED })
    expect(flows.query(FLOW, 7) & COLLISION.mask).not.toBe(0)
    expect(counts()).toEqual([2047, 1])
    flows.remove(FLOW, 7)
    flows.remove(FLOW, 7)
    expect(counts()).toEqual([2048, 0])
    expect(direct(host, udp()).queue).toBe(0)
    expect(host.read(REG.FDIRUSTAT)).toBe(0x00010001)
    expect(host.read(REG.FDIRFSTAT)).toBe(0x0100)
    expect([host.read(REG.FDIRUSTAT), host.read(REG.FDIRFSTAT)]).toEqual([0, 0])
  })

  test('keeps the other filters of a list when the first, a middle and the last one go', () => {
    const { host, flows } = perfectHost(put(MAX_LENGTH, 10))
    // The hash is linear: these differ in what cancels out.
    const alike = (n: number): Flow => ({
      type: 'udp',
      from: `10.0.0.${n}`,
      to: `10.0.1.${n}`,
      sport: 1,
      dport: 1,
    })
    const frame = (n: number): Uint8Array => udp4(`10.0.0.${n}`, 1, `10.0.1.${n}`, 1)
    for (let n = 1; n <= 5; n++) flows.add(alike(n), 1 + (n % 3), { id: n })
    expect(get(REG.FDIRLEN.fields.MAXLEN, host.read(REG.FDIRLEN))).toBe(5)
    const found = (): number[] => [1, 2, 3, 4, 5].map((n) => direct(host, frame(n)).queue)
    expect(found()).toEqual([2, 3, 1, 2, 3])
    flows.remove(alike(3), 3)
    expect(found()).toEqual([2, 3, 0, 2, 3])
    flows.remove(alike(1), 1)
    expect(found()).toEqual([0, 3, 0, 2, 3])
    flows.remove(alike(5), 5)
    expect(found()).toEqual([0, 3, 0, 2, 0])
    flows.add(alike(1), 1, { id: 1 })
    expect(found()).toEqual([1, 3, 0, 2, 0])
  })

  test('of a list longer than MAX_LENGTH is reported; its drop filters do not drop', () => {
    const { host, flows } = perfectHost(put(MAX_LENGTH, 2))
    const alike = (n: number): Flow => ({
      type: 'udp',
      from: `10.0.0.${n}`,
      to: `10.0.1.${n}`,
      sport: 1,
      dport: 1,
    })
    const frame = (n: number): Uint8Array => udp4(`10.0.0.${n}`, 1, `10.0.1.${n}`, 1)
    for (let n = 1; n <= 3; n++) flows.add(alike(n), n, { id: n })
    expect(direct(host, frame(2)).status).toBe(MATCH)
    expect(direct(host, frame(3))).toMatchObject({ queue: 3, status: MATCH | LENGTH })
    expect(direct(host, frame(4)).status).toBe(LENGTH)
    flows.add(alike(4), 2, { id: 4, command: REG.FDIRCMD.fields.DROP.mask })
    expect(direct(host, frame(4))).toMatchObject({ queue: 2, status: MATCH | LENGTH | DROP })
  })

  test('fills the table to two filters less than it has buckets; few left is an interrupt', () => {
    const { host, flows } = perfectHost(put(FULL_THRESH, 4))
    const { FLOW_DIR } = REG.EICR.fields
    const add = (n: number): void => flows.add({ ...FLOW, sport: n & 0xfff, dport: n >> 4 }, 1, { id: n })
    for (let n = 0; n < 2048 - 64; n++) add(n)
    expect(host.read(REG.EICR) & FLOW_DIR.mask).toBe(0)
    add(3000)
    expect(host.read(REG.EICR) & FLOW_DIR.mask).not.toBe(0)
    for (let n = 0; n < 61; n++) add(3001 + n)
    expect(get(REG.FDIRFREE.fields.FREE, host.read(REG.FDIRFREE))).toBe(2)
    expect(get(REG.FDIRFSTAT.fields.FADD, host.read(REG.FDIRFSTAT))).toBe(0)
    add(4000)
    expect(get(REG.FDIRFREE.fields.FREE, host.read(REG.FDIRFREE))).toBe(2)
    expect(get(REG.FDIRFSTAT.fields.FADD, host.read(REG.FDIRFSTAT))).toBe(1)
  })

  test('takes no list beyond what FDIRLEN can tell', () => {
    const host = flowHost(0)
    for (let signature = 0; signature < 100; signature++) {
      host.write(REG.FDIRHASH, 5 | (signature << 16))
      host.write(REG.FDIRCMD, 0x8809)
    }
    expect(host.read(REG.FDIRLEN)).toBe(put(REG.FDIRLEN.fields.MAXHASH, 5) | 63)
    expect(host.read(REG.FDIRFSTAT)).toBe(37)
  })

  test('of many filters in few lists, in any order, knows each', () => {
    const host = flowHost(0)
    const known = new Set<number>()
    const { FREE } = REG.FDIRFREE.fields
    const { FADD, FREMOVE } = REG.FDIRFSTAT.fields
    let state = 1
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    const sizes = [0, 0, 0]
    const wrong: string[] = []
    for (let i = 0; i < 2000; i++) {
      const list = random(3)
      const name = (100 + list) | (random(90) << 16)
      const add = random(5) < 3
      const knew = known.has(name)
      const failed = add ? !knew && sizes[list] === 63 : !knew
      host.write(REG.FDIRHASH, name)
      host.write(REG.FDIRCMD, (add ? 1 : 2) | 0x8800 | FILTER_UPDATE.mask)
      if (!failed && knew !== add) {
        if (add) known.add(name)
        else known.delete(name)
        sizes[list] += add ? 1 : -1
      }
      const counted = host.read(REG.FDIRFSTAT) === (failed ? put(add ? FADD : FREMOVE, 1) : 0)
      if (!counted || get(FREE, host.read(REG.FDIRFREE)) !== 8192 - known.size) wrong.push(`command ${i}`)
    }
    for (let bucket = 100; bucket < 103; bucket++)
      for (let signature = 0; signature < 90; signature++) {
        const name = bucket | (signature << 16)
        host.write(REG.FDIRHASH, name)
        host.write(REG.FDIRCMD, 3)
        if (((host.read(REG.FDIRCMD) & FILTER_VALID.mask) !== 0) !== known.has(name))
          wrong.push(`filter ${name}`)
      }
    expect(wrong).toEqual([])
    expect(Math.max(...sizes)).toBeGreaterThan(40)
  })

  test.each([
    [PERFECT_MATCH.mask, 1, 2048],
    [PERFECT_MATCH.mask, 2, 4096],
    [PERFECT_MATCH.mask, 3, 8192],
    [0, 1, 8192],
    [0, 2, 16384],
    [0, 3, 32768],
  ])('FDIRCTRL with mode bit %i and PBALLOC %i: %i are free', (mode, allocated, free) => {
    const host = flowHost(mode | allocated)
    expect(get(REG.FDIRFREE.fields.FREE, host.read(REG.FDIRFREE))).toBe(free)
  })

  test('ends with a reset, and with CLEARHT and FDIRCTRL again', () => {
    const { host, flows } = perfectHost()
    flows.add(FLOW, 1)
    const fdirctrl = host.read(REG.FDIRCTRL)
    host.write(REG.FDIRCMD, CLEARHT.mask)
    host.write(REG.FDIRCMD, 0)
    host.write(REG.FDIRCTRL, fdirctrl)
    expect(direct(host, udp()).queue).toBe(0)
    flows.add(FLOW, 1)
    expect(direct(host, udp()).queue).toBe(1)
    expect(host.breaches()).toEqual([])
    host.initialise()
    host.acceptAll()
    host.startReceive()
    host.enableReceive()
    host.waitForLink()
    expect(direct(host, udp())).toEqual(UNTOUCHED)
    expect([REG.FDIRMATCH, REG.FDIRMISS, REG.FDIRCTRL].map((register) => host.read(register))).toEqual([
      0, 0, 0,
    ])
  })
})

describe('signature filters', () => {
  test('do not know one flow from another with the same hashes', () => {
    const host = flowHost(REPORT_STATUS.mask, PERFECT)
    const flows = new Flows(host)
    flows.add({ type: 'udp', from: '10.0.0.1', to: '10.0.0.2', sport: 1, dport: 2 }, 2)
    expect(direct(host, udp4('10.0.0.1', 1, '10.0.0.2', 2)).queue).toBe(2)
    expect(direct(host, udp4('10.0.0.2', 1, '10.0.0.1', 2)).queue).toBe(2)
    expect(direct(host, udp4('10.0.0.2', 1, '10.0.0.3', 2)).queue).toBe(0)
  })

  test('masks apply to their hash, IPv6 byte by byte', () => {
    const host = flowHost(0, { ...PERFECT, FDIRIP6M: 0x8000_8000 })
    const flows = new Flows(host)
    flows.add({ type: 'udp6', from: 'fe80::', to: 'fe80::', sport: 1, dport: 2 }, 3)
    expect(direct(host, udp6('fe80::12', 1, 'fe80::34', 2)).queue).toBe(3)
    expect(direct(host, udp6('fe80::112', 1, 'fe80::34', 2)).queue).toBe(0)
    expect(ipv6('fe80::12')[15]).toBe(0x12)
  })

  test('that drop are shown in the drop queue', () => {
    const host = flowHost(put(REG.FDIRCTRL.fields.DROP_QUEUE, 3), PERFECT)
    new Flows(host).add(FLOW, 'drop')
    expect(direct(host, udp())).toMatchObject({ queue: 3, status: MATCH | DROP })
  })
})

describe('reporting', () => {
  test('needs RXCSUM.PCSD, and never replaces the packet type', () => {
    const host = flowHost(PERFECT_MATCH.mask | REPORT_STATUS.mask, PERFECT)
    new Flows(host).add(FLOW, 1, { id: 5 })
    expect(steer(host, udp()).word0).toBe(0x21f)
    host.write(REG.RXCSUM, 0)
    expect(direct(host, udp())).toEqual({ queue: 1, hash: 0, id: 0, type: 0, status: MATCH })
  })

  test('always reports the hash of what no filter takes, too', () => {
    const host = flowHost(PERFECT_MATCH.mask | REPORT_STATUS_ALWAYS.mask, { FDIRM: NO_TAG })
    expect(direct(host, udp())).toEqual({ queue: 0, hash: 0x43c, id: 0, type: 0xf, status: 0 })
    expect(direct(host, frameOf(60))).toEqual(UNTOUCHED)
  })

  test('legacy descriptors have none of it', () => {
    const host = flowHost(PERFECT_MATCH.mask | REPORT_STATUS.mask, PERFECT)
    new Flows(host).add(FLOW, 1)
    host.modify(REG.SRRCTL, 0, REG.SRRCTL.fields.DESCTYPE.mask, 1)
    const { queue, status } = steer(host, udp())
    expect([queue, status & ~0xffff]).toEqual([1, (udp().length << 0) & ~0xffff])
  })
})

test('a packet that waits for a descriptor counts once', () => {
  const { host, flows } = perfectHost()
  flows.add(FLOW, 1)
  host.write(REG.RDT, host.read(REG.RDH, 1), 1)
  host.wire.waiting.push(udp())
  host.poll(3)
  expect(host.read(REG.FDIRMATCH)).toBe(0)
  host.write(REG.RDT, 63, 1)
  host.poll(3)
  expect(host.read(REG.RDH, 1)).toBe(1)
  expect(host.read(REG.FDIRMATCH)).toBe(1)
})

describe('the order', () => {
  test('queue filters come first, and then the packet is no candidate; RSS comes last', () => {
    const { host, flows } = perfectHost()
    const frame = tcp()
    flows.add({ ...FLOW, type: 'tcp' }, 1)
    expect(direct(host, frame).queue).toBe(1)
    host.write(REG.SDPQF, 0x0004_0000, 0)
    host.write(REG.L34TIMIR, put(REG.L34TIMIR.fields.RX_QUEUE, 2), 0)
    host.write(REG.FTQF, 0xae000004, 0)
    expect(direct(host, frame)).toEqual({ ...UNTOUCHED, queue: 2 })
    expect([host.read(REG.FDIRMATCH), host.read(REG.FDIRMISS)]).toEqual([1, 0])
    host.write(REG.FTQF, 0, 0)
    host.write(REG.MRQC, 1 | REG.MRQC.fields.RSS_IPV4.mask)
    for (let i = 0; i < 32; i++) host.write(REG.RETA, 0x03030303, i)
    expect(steer(host, frame)).toMatchObject({ queue: 1, word0: 0x112 })
    expect(steer(host, udp())).toMatchObject({ queue: 3, word0: 0x212 })
  })
})

describe('breaches', () => {
  test('of a driver that gets the hash or a mask wrong', () => {
    const { host, flows } = perfectHost()
    flows.add(FLOW, 1, { hash: 3 })
    flows.add({ ...FLOW, vlan: 5 }, 1)
    expect(host.breaches()).toEqual([
      'FDIRHASH of a perfect filter is not the hash of its fields, it never matches (82599 §7.1.2.7)',
      'perfect filter with ones in masked fields, it never matches (82599 §7.1.2.7)',
    ])
    expect(direct(host, udp())).toEqual(UNTOUCHED)
  })

  test('of one that starts late, again, without memory, or not at all', () => {
    const host = flowHost(0, {}, { start: false })
    host.write(REG.FDIRHASH, 1)
    host.write(REG.FDIRCMD, 1)
    host.write(REG.RXPBSIZE, 0x80000)
    host.write(REG.FDIRCTRL, 1)
    host.write(REG.FDIRCTRL, 1)
    expect(host.breaches()).toEqual([
      'Flow Director command while FDIRCTRL.PBALLOC is 0 (82599 §7.1.2.7)',
      'FDIRCTRL.PBALLOC set while RXCTRL.RXEN is set (82599 §8.2.3.21.1)',
      'FDIRCTRL.PBALLOC takes memory that RXPBSIZE gives to packets (82599 §8.2.3.21.1)',
      'FDIRCTRL written again without FDIRCMD.CLEARHT before (82599 §8.2.3.21.1)',
    ])
  })
})
