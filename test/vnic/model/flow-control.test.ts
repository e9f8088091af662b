/** PAUSE frames that the card sends, by how full its packet buffer is (82599 §3.7.7.3), and two cards that hold each other up. */
import { cardBalance } from '../../../src/engine/balance.ts'
import { put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import { cable, type CableEnd } from '../../../src/vnic/wires/cable.ts'
import type { Host } from './host.ts'
import { MAC, frameOf, runningHost } from './host.ts'

/** What a frame takes in the packet buffer here: its bytes and its length. */
const IN_BUFFER = 1000 + 4
const HIGH = 10 * IN_BUFFER - 8
const LOW = 5 * IN_BUFFER - 12
const { XONE } = REG.FCRTL.fields
const { FCEN } = REG.FCRTH.fields
const { DPF, RFCE } = REG.MFLCN.fields
/** FCTTV and FCRTV: repeated after 1000 quanta of 51.2 ns. */
const QUANTA = 2500
const REFRESH = 0.0512

/** As Linux's ixgbe does, and then the ring has no descriptor left. */
function sender({ tfce = 1, fcen = true, xone = true } = {}): Host {
  const host = runningHost()
  enable(host, { tfce, fcen, xone })
  fill(host, 63)
  return host
}

function enable(host: Host, { tfce = 1, fcen = true, xone = true } = {}): void {
  // Bits 3:0 are reserved, so thresholds are multiples of 16.
  host.write(REG.FCRTL, (LOW & REG.FCRTL.fields.RTL.mask) | (xone ? XONE.mask : 0))
  host.write(REG.FCRTH, (HIGH & REG.FCRTH.fields.RTH.mask) | (fcen ? FCEN.mask : 0))
  host.write(REG.FCTTV, QUANTA | (7 << 16))
  host.write(REG.FCRTV, QUANTA - 1000)
  host.write(REG.FCCFG, put(REG.FCCFG.fields.TFCE, tfce))
}

/** Frames of 1000 bytes arrive, descriptors or not. */
function fill(host: Host, count: number): void {
  host.wire.regardless = true
  host.wire.waiting.push(...Array.from({ length: count }, () => frameOf(1000)))
  while (host.wire.waiting.length > 0) host.device.poll(host.now)
}

/** The host gives back `count` descriptors. */
function take(host: Host, count: number, now = host.now): void {
  const head = host.read(REG.RDH)
  for (let i = 0; i < 64; i++) host.armReceive(i)
  host.write(REG.RDT, (head + count) % 64)
  host.device.poll(now)
}

/** The pause times of what the card has sent. */
const times = ({ wire }: Host): number[] =>
  wire.controls.splice(0).map((frame) => frame[16] * 256 + frame[17])

test('XOFF above the high mark, XON at the low one', () => {
  const host = sender()
  fill(host, 9)
  expect(times(host)).toEqual([])
  fill(host, 1)
  expect(host.wire.controls[0]).toHaveLength(60)
  expect(Buffer.from(host.wire.controls[0]).toString('hex')).toBe(
    `0180c2000001${Buffer.from(MAC).toString('hex')}88080001${QUANTA.toString(16).padStart(4, '0')}${'00'.repeat(42)}`,
  )
  expect(times(host)).toEqual([QUANTA])
  fill(host, 1)
  take(host, 6)
  expect([times(host), host.device.receive.buffered]).toEqual([[], 5])
  take(host, 1)
  expect([times(host), host.device.receive.buffered]).toEqual([[0], 4])
  expect([host.read(REG.LXOFFTXC), host.read(REG.LXONTXC)]).toEqual([1, 1])
  expect(host.breaches()).toEqual([])
})

test('XOFF is repeated while the buffer is above the low mark, and no longer', () => {
  const host = sender()
  const begin = host.now
  fill(host, 11)
  expect(times(host)).toEqual([QUANTA])
  expect(host.device.nextEvent(begin)).toBeCloseTo(begin + REFRESH, 9)
  host.device.poll(begin + REFRESH / 2)
  expect(times(host)).toEqual([])
  // Between the marks.
  take(host, 3, begin + REFRESH)
  expect(times(host)).toEqual([QUANTA])
  expect(host.device.nextEvent(begin + REFRESH)).toBeCloseTo(begin + 2 * REFRESH, 9)
  take(host, 8, begin + 1.5 * REFRESH)
  expect(times(host)).toEqual([0])
  host.device.poll(begin + 9)
  expect([times(host), host.device.nextEvent(begin + 9)]).toEqual([[], Infinity])
})

test('without XONE the time of the link partner runs out', () => {
  const host = sender({ xone: false })
  fill(host, 11)
  take(host, 11)
  host.device.poll(host.now + 9)
  expect(times(host)).toEqual([QUANTA])
})

test.each([
  ['off', { tfce: 0 }],
  ['for priorities', { tfce: 2 }],
  ['not for this packet buffer', { fcen: false }],
])('flow control %s: frames are missed, and nobody is told', (_, options) => {
  const host = sender(options)
  fill(host, 600)
  expect(times(host)).toEqual([])
  expect(host.read(REG.MPC)).toBeGreaterThan(50)
})

test('the packet buffer is as large as RXPBSIZE says', () => {
  const host = sender({ tfce: 0 })
  host.write(REG.RXPBSIZE, put(REG.RXPBSIZE.fields.SIZE, 64))
  host.write(REG.RXPBSIZE, 0, 1)
  fill(host, 100)
  const most = Math.floor((64 * 1024) / IN_BUFFER)
  expect(host.device.receive.buffered).toBe(most)
  expect(host.read(REG.MPC)).toBe(100 - most)
  host.device.reset()
  expect(host.read(REG.RXPBSIZE)).toBe(512 * 1024)
})

test('PAUSE frames are in the counters of the MAC, not in those of the DMA nor in what the host has sent', () => {
  const host = sender()
  host.queueFrame(0, frameOf(60))
  host.write(REG.TDT, 1)
  fill(host, 11)
  take(host, 11)
  expect(times(host)).toEqual([QUANTA, 0])
  expect([REG.GPTC, REG.TPT, REG.MPTC, REG.PTC64, REG.GOTCL].map((register) => host.read(register))).toEqual([
    3,
    3,
    2,
    3,
    3 * 64,
  ])
  expect([host.read(REG.TXDGPC), host.read(REG.QPTC)]).toEqual([1, 1])
  expect(totalsOf(host.device).tx).toEqual({ packets: 1, bytes: 60 })
})

test.each<[string, (host: Host) => unknown]>([
  ['the host has switched flow control off', (host) => host.write(REG.FCCFG, 0)],
  ['the card was reset', (host) => host.device.reset()],
])('nothing is repeated once %s', (_, stop) => {
  const host = sender()
  fill(host, 11)
  times(host)
  stop(host)
  host.device.poll(host.now + 5)
  expect([times(host), host.read(REG.LXOFFTXC)]).toEqual([[], expect.any(Number)])
})

test('without a link nothing is sent, and nothing counted', () => {
  const host = sender()
  fill(host, 11)
  times(host)
  host.read(REG.LXOFFTXC)
  host.device.setLink(false)
  host.device.poll(host.now + 5)
  expect([times(host), host.read(REG.LXOFFTXC)]).toEqual([[], 0])
})

test('a PAUSE frame that the MAC passes on is a frame, one that it keeps is none', () => {
  const host = runningHost()
  const pause = frameOf(60, Uint8Array.of(1, 0x80, 0xc2, 0, 0, 1))
  pause.set([0x88, 0x08, 0, 1, 0, 9], 12)
  const bytes = { u8: pause, u32: new Uint32Array(pause.buffer) }
  expect(host.device.control(bytes, 0, 60)).toBe(false)
  host.write(REG.MFLCN, REG.MFLCN.fields.PMCF.mask)
  expect(host.device.control(bytes, 0, 60)).toBe(true)
  host.poll()
  expect([host.read(REG.RDH), host.read(REG.TPR), host.read(REG.LXOFFRXCNT)]).toEqual([1, 1, 2])
  expect(totalsOf(host.device)).toMatchObject({ rx: { packets: 1 }, dropped: { mac_control: 0 } })
})

describe('two cards on a cable', () => {
  function pair(both: (host: Host) => void): { a: Host; b: Host; ends: readonly [CableEnd, CableEnd] } {
    const ends = cable(['A', 'B'])
    const [a, b] = ends.map((plug) => {
      const host = runningHost({ plug })
      both(host)
      return host
    })
    return { a, b, ends }
  }

  /** What the loop that runs virtual NICs does. */
  function run({ a, b }: { a: Host; b: Host }, now: number): void {
    a.device.poll(now)
    b.device.poll(now)
  }

  /** Queues as many frames as there is room for in the ring of 64; returns how many that were. */
  function send(host: Host, most: number): number {
    const tail = host.read(REG.TDT)
    const free = (host.read(REG.TDH) + 63 - tail + 64) % 64
    const count = Math.min(free, most)
    for (let i = 0; i < count; i++) host.queueFrame((tail + i) % 64, frameOf(1000))
    host.write(REG.TDT, (tail + count) % 64)
    return count
  }

  const TOTAL = 2000

  /** A sends TOTAL frames as fast as it can; B takes one every 0.05 ms. */
  function overwhelm(cards: { a: Host; b: Host }): void {
    const { a, b } = cards
    let left = TOTAL
    let now = 5000
    for (let turns = 0; turns < 20_000; turns++) {
      left -= send(a, left)
      run(cards, (now += 0.05))
      const tail = b.read(REG.RDT)
      if (b.read(REG.RDH) !== tail || b.device.receive.buffered > 0) {
        b.armReceive(tail)
        b.write(REG.RDT, (tail + 1) % 64)
      }
    }
    expect(left).toBe(0)
  }

  /** Every frame has one fate, at both ends. */
  function expectBalanced({ a, b, ends }: ReturnType<typeof pair>): void {
    const nics = [a, b].map(({ device }, i) => ({
      card: totalsOf(device),
      buffered: device.receive.buffered,
      account: ends[i].account(),
    }))
    for (const balance of nics.flatMap((nic, i) => cardBalance('AB'[i], i, nic)))
      expect(balance.unaccounted).toBe(0)
    const [fromA, fromB] = ends.map((end) => end.account().out.arrived)
    // PAUSE frames that a MAC has passed on are in addition to what the other host has sent.
    expect(ends[1].account().in.returned).toBeGreaterThanOrEqual(fromA)
    expect(ends[0].account().in.returned).toBeGreaterThanOrEqual(fromB)
  }

  const received = ({ b }: { b: Host }): number => totalsOf(b.device).rx.packets

  test('with flow control nothing is missed, and both ends count the same PAUSE frames', () => {
    const cards = pair((host) => {
      enable(host)
      host.write(REG.MFLCN, RFCE.mask | DPF.mask)
    })
    const { a, b, ends } = cards
    overwhelm(cards)
    expect(received(cards)).toBe(TOTAL)
    expect(b.read(REG.MPC)).toBe(0)
    const [xoff, xon] = [b.read(REG.LXOFFTXC), b.read(REG.LXONTXC)]
    expect(xoff).toBeGreaterThan(10)
    expect(xon).toBeGreaterThan(10)
    expect([a.read(REG.LXOFFRXCNT), a.read(REG.LXONRXCNT)]).toEqual([xoff, xon])
    expect(ends[1].reports()[0].counters['pauses']).toBe(xoff + xon)
    // Every frame has one fate, and PAUSE frames are none.
    expect(ends.map((end) => end.account().out.arrived)).toEqual([TOTAL, 0])
    expect(totalsOf(a.device)).toMatchObject({ tx: { packets: TOTAL }, dropped: { mac_control: 0 } })
    expect(a.read(REG.TPR)).toBe(0)
    expectBalanced(cards)
  })

  test('PAUSE frames that a host wants to see are frames for it, and balance, too', () => {
    const cards = pair((host) => {
      enable(host)
      host.write(REG.MFLCN, RFCE.mask)
    })
    const { a, ends } = cards
    overwhelm(cards)
    expect(totalsOf(a.device).rx.packets).toBe(63)
    expect(totalsOf(a.device).rx.packets + a.device.receive.buffered).toBe(ends[0].account().in.returned)
    expectBalanced(cards)
  })

  test('one that does not obey overruns the other', () => {
    const cards = pair((host) => {
      enable(host)
      host.write(REG.MFLCN, DPF.mask)
    })
    overwhelm(cards)
    const missed = cards.b.read(REG.MPC)
    expect(missed).toBeGreaterThan(100)
    expect(received(cards) + missed).toBe(TOTAL)
    expectBalanced(cards)
    expect(cards.b.read(REG.LXOFFTXC)).toBe(cards.a.read(REG.LXOFFRXCNT))
  })
})
