/** The card's clock and the time stamps of PTP messages (82599 §7.9, IEEE 1588). */
import { put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { RxStatus } from '../../../src/vnic/model/rx-queue.ts'
import { cable } from '../../../src/vnic/wires/cable.ts'
import { type Host, frameOf, runningHost } from './host.ts'

const RX = REG.TSYNCRXCTL.fields
const TX = REG.TSYNCTXCTL.fields
const { FILTER_ENABLE, TIME_1588 } = REG.ETQF.fields
/** Nanoseconds and 21 bits below, as Linux's ixgbe has it: 6.4 ns per cycle. */
const INCVALUE = 0xcccccc
const CYCLE_MS = 6.4e-6
const TSTAMP = 1 << 19

function increment(value: number, period = 1): number {
  return put(REG.TIMINCA.fields.INCVALUE, value) | put(REG.TIMINCA.fields.INCPERIOD, period)
}

function pair(host: Host, low: typeof REG.SYSTIML, high: typeof REG.SYSTIMH): bigint {
  // One after the other, as a host reads them.
  const lower = BigInt(host.read(low))
  return lower | (BigInt(host.read(high)) << 32n)
}

const systemTime = (host: Host): bigint => pair(host, REG.SYSTIML, REG.SYSTIMH)

function clocked(options: Parameters<typeof runningHost>[0] = {}): Host {
  const host = runningHost(options)
  host.write(REG.TIMINCA, increment(INCVALUE))
  // Not on the edge of one.
  pass(host, 0.5)
  return host
}

/** Lets so many cycles of the card's clock pass. */
function pass(host: Host, cycles: number): void {
  host.time += cycles * CYCLE_MS
}

/** What they are in SYSTIM's unit. */
const of = (cycles: number, step = INCVALUE): bigint => BigInt(cycles) * BigInt(step)

const MILLISECOND = 156_250
const DAY = 86_400_000 * MILLISECOND

describe('SYSTIM', () => {
  test('stands still until TIMINCA is written, and after a reset', () => {
    const host = runningHost()
    host.time += 1000
    expect(systemTime(host)).toBe(0n)
    host.write(REG.TIMINCA, increment(INCVALUE))
    pass(host, 10.5)
    expect(systemTime(host)).toBe(of(10))
    host.device.reset()
    host.time += 1
    expect(systemTime(host)).toBe(0n)
  })

  test.each([1, 15, MILLISECOND, 12_345_678_901, DAY, 30 * DAY])('after %d cycles', (cycles) => {
    const host = clocked()
    pass(host, cycles)
    expect(systemTime(host)).toBe(BigInt.asUintN(64, of(cycles)))
  })

  test('a second is a second, as Linux reads it', () => {
    const host = clocked()
    host.time += 1000
    // INCVALUE is 22 parts in 10^9 short.
    expect(Number(systemTime(host) >> 21n) / 1e9).toBeCloseTo(1, 6)
  })

  test('INCPERIOD is the number of cycles between two steps', () => {
    const host = runningHost()
    host.write(REG.TIMINCA, increment(5, 16))
    pass(host, 47.5)
    expect(systemTime(host)).toBe(10n)
    pass(host, 1)
    expect(systemTime(host)).toBe(15n)
  })

  test('the high word belongs to the low one that was read before', () => {
    const host = clocked()
    host.write(REG.SYSTIML, 0xffffffff)
    expect(host.read(REG.SYSTIML)).toBe(0xffffffff)
    pass(host, 100)
    expect(host.read(REG.SYSTIMH)).toBe(0)
    expect(systemTime(host)).toBe(0xffffffffn + of(100))
  })

  test('is set, wraps around, and goes on at another rate without a step', () => {
    const host = clocked()
    host.write(REG.SYSTIML, 0xfffffff0)
    host.write(REG.SYSTIMH, 0xffffffff)
    pass(host, 1000)
    expect(systemTime(host)).toBe(of(1000) - 16n)
    host.write(REG.TIMINCA, increment(INCVALUE + 5))
    expect(systemTime(host)).toBe(of(1000) - 16n)
    pass(host, 2000)
    expect(systemTime(host)).toBe(of(1000) - 16n + of(2000, INCVALUE + 5))
  })

  test('a clock whose rate is changed all the time loses nothing', () => {
    const host = clocked()
    for (let i = 0; i < 10_000; i++) {
      pass(host, 99.9)
      host.write(REG.TIMINCA, increment(INCVALUE))
    }
    expect(systemTime(host)).toBe(of(999_000))
  })

  test.each([
    ['added', 0x3, 0x0, 0x1_0000_0001n],
    ['taken off', 0xffffffff, 0x80000000, -1n],
  ])('TIMADJ is %s', (_, low, high, sum) => {
    const host = runningHost()
    host.write(REG.SYSTIML, 0xfffffffe)
    host.write(REG.TIMADJ, low, 0)
    host.write(REG.TIMADJ, high, 1)
    expect(systemTime(host)).toBe(BigInt.asUintN(64, sum))
  })
})

describe('transmit', () => {
  const stamp = (host: Host): bigint => pair(host, REG.TXSTMPL, REG.TXSTMPH)
  const valid = (host: Host): boolean => (host.read(REG.TSYNCTXCTL) & TX.TXTT.mask) !== 0

  function sendTimed(host: Host, index: number): void {
    const frame = frameOf(60)
    const at = host.place(index, frame)
    host.describe(index, [at % 2 ** 32, Math.floor(at / 2 ** 32), 0x2b300000 | TSTAMP | 60, 60 << 14])
    host.write(REG.TDT, index + 1)
    host.poll()
  }

  test('a frame whose descriptor asks for it is stamped; the stamp is kept until it was read', () => {
    const host = clocked()
    host.write(REG.TSYNCTXCTL, TX.EN.mask)
    host.time += 5
    const first = systemTime(host)
    sendTimed(host, 0)
    host.time += 5
    sendTimed(host, 1)
    expect([host.wire.sent.length, valid(host)]).toEqual([2, true])
    expect(stamp(host)).toBe(first)
    expect(valid(host)).toBe(false)
    host.time += 5
    sendTimed(host, 2)
    expect(stamp(host)).toBe(first + of(10 * MILLISECOND))
    expect(host.breaches()).toEqual([])
  })

  test('nothing is stamped without TSYNCTXCTL.EN or the bit in the descriptor', () => {
    const host = clocked()
    sendTimed(host, 0)
    host.write(REG.TSYNCTXCTL, TX.EN.mask)
    host.queueFrame(1, frameOf(60))
    host.write(REG.TDT, 2)
    host.poll()
    expect([host.wire.sent.length, valid(host)]).toEqual([2, false])
  })

  test('the stamp is of the moment at which the wire takes the frame', () => {
    const host = clocked()
    host.write(REG.TSYNCTXCTL, TX.EN.mask)
    host.wire.capacity = 0
    sendTimed(host, 0)
    expect(valid(host)).toBe(false)
    host.time += 7
    const now = systemTime(host)
    host.wire.capacity = 1
    host.poll()
    expect([valid(host), stamp(host)]).toEqual([true, now])
  })

  test('what the wire takes its time for comes after the stamp: the frame may be back by then', () => {
    const host = clocked()
    host.write(REG.TSYNCTXCTL, TX.EN.mask)
    const send = host.wire.send.bind(host.wire)
    host.wire.send = (...frame) => {
      host.time += 20
      return send(...frame)
    }
    const before = systemTime(host)
    sendTimed(host, 0)
    expect([host.wire.sent.length, valid(host), stamp(host)]).toEqual([1, true, before])
  })
})

const SYNC = 0
const PDELAY_RESPONSE = 3
const FOLLOW_UP = 8
const V1_DELAY_REQUEST = 1

/** A PTP message: `type` of version 2, `control` of version 1. */
function message({ version = 2, type = SYNC, control = 0 } = {}): Uint8Array {
  const bytes = new Uint8Array(44)
  bytes[0] = 0x10 | type
  bytes[1] = version
  bytes[32] = control
  return bytes
}

function overEthernet(payload: Uint8Array, tag: readonly number[] = []): Uint8Array {
  const head = [0x01, 0x1b, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 1]
  return Uint8Array.from([...head, ...tag, 0x88, 0xf7, ...payload, 0, 0])
}

function overUdp(payload: Uint8Array, { port = 319, v6 = false, protocol = 17 } = {}): Uint8Array {
  const bytes = 8 + payload.length
  const udp = [0x01, 0x3f, port >> 8, port & 0xff, 0, bytes, 0, 0, ...payload]
  const head = [0x01, 0, 0x5e, 0, 1, 129, 2, 0, 0, 0, 0, 1]
  if (v6) {
    const addresses = new Array<number>(32).fill(1)
    return Uint8Array.from([...head, 0x86, 0xdd, 0x60, 0, 0, 0, 0, bytes, protocol, 1, ...addresses, ...udp])
  }
  const ip = [0x45, 0, 0, 20 + bytes, 0, 0, 0, 0, 1, protocol, 0, 0, 10, 0, 0, 1, 224, 0, 1, 129]
  return Uint8Array.from([...head, 8, 0, ...ip, ...udp])
}

interface Wanted {
  readonly type: number
  readonly mtrl?: number
  readonly filter?: boolean
}

function receiver({ type, mtrl = 319 << 16, filter = true }: Wanted, fast = false): Host {
  const host = clocked({ fast })
  if (filter) host.write(REG.ETQF, FILTER_ENABLE.mask | TIME_1588.mask | 0x88f7, 3)
  host.write(REG.RXMTRL, mtrl)
  host.write(REG.TSYNCRXCTL, RX.EN.mask | put(RX.TYPE, type))
  return host
}

const valid = (host: Host): boolean => (host.read(REG.TSYNCRXCTL) & RX.RXTT.mask) !== 0
const stamped = (host: Host, index: number): boolean => (host.received(index).status & RxStatus.TS) !== 0
const stamp = (host: Host): bigint => pair(host, REG.RXSTMPL, REG.RXSTMPH)

describe.each([
  ['in bursts', true],
  ['one by one', false],
])('receive, %s', (_, fast) => {
  test('a message is stamped when it arrives; its descriptor tells of it, and the stamp is kept until it was read', () => {
    const host = receiver({ type: 5 }, fast)
    host.time += 5
    const first = systemTime(host)
    host.wire.waiting.push(frameOf(60), overEthernet(message()), overEthernet(message()), frameOf(60))
    host.poll()
    expect([0, 1, 2, 3].map((index) => stamped(host, index))).toEqual([false, true, false, false])
    host.time += 5
    expect(valid(host)).toBe(true)
    expect(stamp(host)).toBe(first)
    expect(valid(host)).toBe(false)
    host.wire.waiting.push(overEthernet(message()))
    host.poll()
    expect([stamped(host, 4), stamp(host)]).toEqual([true, first + of(5 * MILLISECOND)])
    expect(host.breaches()).toEqual([])
  })

  test('one that waits in the packet buffer has the stamp of its arrival', () => {
    const host = receiver({ type: 5 }, fast)
    host.wire.regardless = true
    host.wire.waiting.push(
      ...Array.from({ length: 65 }, () => frameOf(60)),
      overEthernet(message()),
      frameOf(60),
    )
    host.time += 5
    const arrival = systemTime(host)
    host.poll()
    expect(host.device.receive.buffered).toBe(4)
    host.time += 5
    for (let i = 0; i < 8; i++) host.armReceive(i)
    host.write(REG.RDT, 7)
    host.poll()
    // 63, and then 0 to 2 are those that waited.
    expect([63, 0, 1, 2, 3].map((index) => stamped(host, index))).toEqual([false, false, true, false, false])
    expect(stamp(host)).toBe(arrival)
  })
})

test('two cards on a cable: received when it was sent, by the clock of each', () => {
  const ends = cable(['A', 'B'])
  const [a, b] = ends.map((plug) => runningHost({ plug }))
  for (const host of [a, b]) {
    host.write(REG.TIMINCA, increment(INCVALUE))
    host.write(REG.TSYNCTXCTL, TX.EN.mask)
    host.write(REG.ETQF, FILTER_ENABLE.mask | TIME_1588.mask | 0x88f7, 3)
    host.write(REG.TSYNCRXCTL, RX.EN.mask | put(RX.TYPE, 5))
    pass(host, 100.5)
  }
  b.write(REG.SYSTIMH, 7)
  const frame = overEthernet(message())
  const at = a.place(0, frame)
  a.describe(0, [
    at % 2 ** 32,
    Math.floor(at / 2 ** 32),
    0x2b300000 | TSTAMP | frame.length,
    frame.length << 14,
  ])
  a.write(REG.TDT, 1)
  a.poll()
  // The server comes to the other card later.
  b.time += 5
  b.poll()
  expect(stamped(b, 0)).toBe(true)
  expect(pair(a, REG.TXSTMPL, REG.TXSTMPH)).toBe(of(100))
  expect(stamp(b)).toBe(of(100) + (7n << 32n))
})

const v2 = (type: number): Uint8Array => message({ type })

test.each<[string, Wanted, Uint8Array, boolean]>([
  ['event messages: a Sync over Ethernet', { type: 5 }, overEthernet(v2(SYNC)), true],
  ['behind a VLAN tag', { type: 5 }, overEthernet(v2(SYNC), [0x81, 0, 0, 5]), true],
  ['over UDP', { type: 5 }, overUdp(v2(SYNC)), true],
  ['over UDP and IPv6', { type: 5 }, overUdp(v2(SYNC), { v6: true }), true],
  ['another port', { type: 5 }, overUdp(v2(SYNC), { port: 320 }), false],
  ['the port that RXMTRL names', { type: 5, mtrl: 320 << 16 }, overUdp(v2(SYNC), { port: 320 }), true],
  ['not UDP', { type: 5 }, overUdp(v2(SYNC), { protocol: 47 }), false],
  ['a general message', { type: 5 }, overEthernet(v2(FOLLOW_UP)), false],
  ['version 1', { type: 5 }, overUdp(message({ version: 1 })), false],
  ['without an EtherType filter', { type: 5, filter: false }, overEthernet(v2(SYNC)), false],
  ['a message that is cut off', { type: 5 }, overUdp(v2(SYNC).subarray(0, 20)), false],
  ['Ethernet only: Sync', { type: 0 }, overEthernet(v2(SYNC)), true],
  ['Ethernet only: over UDP', { type: 0 }, overUdp(v2(SYNC)), false],
  ['Ethernet only: not what RXMTRL names', { type: 0 }, overEthernet(v2(1)), false],
  ['Ethernet only: peer delay, whatever RXMTRL says', { type: 0 }, overEthernet(v2(PDELAY_RESPONSE)), true],
  ['both: Delay_Req, by RXMTRL', { type: 2, mtrl: (319 << 16) | 0x100 }, overUdp(v2(1)), true],
  ['both: Sync, not by RXMTRL', { type: 2, mtrl: (319 << 16) | 0x100 }, overEthernet(v2(SYNC)), false],
  ['version 1: Sync', { type: 1 }, overUdp(message({ version: 1 })), true],
  [
    'version 1: Delay_Req, by RXMTRL',
    { type: 1, mtrl: (319 << 16) | V1_DELAY_REQUEST },
    overUdp(message({ version: 1, control: V1_DELAY_REQUEST })),
    true,
  ],
  ['version 1: Delay_Req, not by RXMTRL', { type: 1 }, overUdp(message({ version: 1, control: 1 })), false],
  ['version 1: version 2', { type: 1 }, overUdp(message()), false],
  ['version 1: over Ethernet', { type: 1 }, overEthernet(message({ version: 1 })), false],
  ['a reserved type', { type: 7 }, overEthernet(v2(SYNC)), false],
])('%s', (_, wanted, frame, expected) => {
  const host = receiver(wanted)
  host.time += 1
  host.wire.waiting.push(frame)
  host.poll()
  expect(host.read(REG.RDH)).toBe(1)
  expect([stamped(host, 0), valid(host)]).toEqual([expected, expected])
})

test('all frames: the registers hold the last one, and no descriptor tells of it', () => {
  const host = receiver({ type: 4 })
  host.wire.waiting.push(frameOf(60))
  host.poll()
  host.time += 5
  const last = systemTime(host)
  host.wire.waiting.push(frameOf(60))
  host.poll()
  expect([stamped(host, 0), stamped(host, 1), valid(host), stamp(host)]).toEqual([false, false, false, last])
})

test('nothing is stamped while TSYNCRXCTL.EN is not set', () => {
  const host = receiver({ type: 5 })
  host.write(REG.TSYNCRXCTL, put(RX.TYPE, 5))
  host.wire.waiting.push(overEthernet(message()))
  host.poll()
  expect([stamped(host, 0), valid(host)]).toEqual([false, false])
})
