import router from '../../docs/examples/router.ts'
import { formatIpv4, IpProtocol, Ipv4Packet, parseIpv4 } from '../../src/index.ts'
import { FakeRun } from './fake-ports.ts'
import { arpReply, arpRequest, describeFrame, type Ends, ipv4, ping, udp } from './frames.ts'

const [A, B, GATEWAY] = ['52:54:00:00:00:0a', '52:54:00:00:00:0b', '52:54:00:00:00:0c']
const [PORT_A, PORT_B] = ['02:00:0a:00:01:01', '02:00:0a:00:02:01']
const OPTIONS = ['10.0.1.1/24', '10.0.2.1/24', '--route', '10.0.9.0/24=10.0.2.7']

/** From the host 10.0.1.10 behind port 0 to wherever. */
const to = (address: string): Ends => ({ from: '10.0.1.10', to: address, fromMac: A, toMac: PORT_A })
const toB = to('10.0.2.20')

let now = 0
beforeEach(() => {
  now = 1000
  jest.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => jest.restoreAllMocks())

function start(options = OPTIONS): FakeRun {
  return new FakeRun(router as never, 2, router.options?.(options))
}

/** Both hosts are known. */
function warm(): FakeRun {
  const run = start()
  run.receive(0, arpRequest(to('10.0.1.1')))
  run.receive(1, arpRequest({ from: '10.0.2.20', to: '10.0.2.1', fromMac: B, toMac: PORT_B }))
  return run
}

/** Lets seconds go by. */
function wait(run: FakeRun, seconds: number): string[][] {
  const words: string[][] = [[], []]
  for (let i = 0; i < seconds; i++) {
    now += 1001
    for (let polls = 0; polls < 64; polls++)
      run.step().forEach((frames, port) => words[port].push(...frames.map(describeFrame)))
  }
  return words
}

const words = (out: Buffer[][]): string[][] => out.map((frames) => frames.map(describeFrame))

describe('routing', () => {
  test('between hosts that it knows: one hop fewer, all else unchanged', () => {
    const run = warm()
    const packet = udp(toB)
    const [back, [sent]] = run.receive(0, packet)
    expect(back).toEqual([])
    expect(describeFrame(sent)).toBe(`${PORT_B} > ${B} 10.0.1.10 > 10.0.2.20 ttl 63 protocol 17`)
    expect(sent.subarray(26)).toEqual(Buffer.from(packet.subarray(26)))
    expect(run.counters).toMatchObject({ routed: 1, no_host: 0, no_room: 0 })
    expect(run.held).toBe(0)
  })

  test('asks for a host that it doesn’t know, and then sends what has waited, in order', () => {
    const run = start()
    run.receive(0, arpRequest(to('10.0.1.1')))
    const [, asked] = run.receive(0, udp(toB, 30), udp(toB, 31))
    expect(asked.map(describeFrame)).toEqual([
      `${PORT_B} > ff:ff:ff:ff:ff:ff who has 10.0.2.20? tell 10.0.2.1 (${PORT_B})`,
    ])
    // What the buffer held before is not told.
    expect(asked[0].length).toBe(60)
    expect([...asked[0].subarray(42)].every((byte) => byte === 0)).toBe(true)
    const [, sent] = run.receive(1, arpReply(asked[0], B))
    expect(sent.map(({ length }) => length)).toEqual([72, 73])
    expect(run.held).toBe(0)
  })

  test('the longest prefix decides, and a route via a router asks for that router', () => {
    const run = start([...OPTIONS, '--route', '0.0.0.0/0=10.0.2.9', '--route', '10.0.9.128/25=10.0.1.7'])
    expect(words(run.receive(0, udp(to('10.0.9.1'))))[1][0]).toContain('who has 10.0.2.7?')
    expect(words(run.receive(0, udp(to('10.0.9.200'))))[0][0]).toContain('who has 10.0.1.7?')
    const [, [request]] = run.receive(0, udp(to('8.8.8.8')))
    expect(describeFrame(request)).toContain('who has 10.0.2.9?')
    expect(words(run.receive(1, arpReply(request, GATEWAY)))[1]).toEqual([
      `${PORT_B} > ${GATEWAY} 10.0.1.10 > 8.8.8.8 ttl 63 protocol 17`,
    ])
  })

  test('forgets a host that it hasn’t heard of for a minute', () => {
    const run = warm()
    wait(run, 59)
    expect(words(run.receive(0, udp(toB)))[1][0]).toContain('ttl 63')
    wait(run, 2)
    expect(words(run.receive(0, udp(toB)))[1][0]).toContain('who has')
  })
})

describe('ICMP', () => {
  test('answers ping to each of its addresses', () => {
    const run = warm()
    expect(words(run.receive(0, ping(to('10.0.1.1'))))[0]).toEqual([
      `${PORT_A} > ${A} 10.0.1.1 > 10.0.1.10 ttl 64 icmp 0/0`,
    ])
    expect(words(run.receive(0, ping(to('10.0.2.1'))))[0]).toEqual([
      `${PORT_A} > ${A} 10.0.2.1 > 10.0.1.10 ttl 64 icmp 0/0`,
    ])
  })

  test.each([0, 1])('time exceeded at a time to live of %i, with what it is about', (timeToLive) => {
    const run = warm()
    const packet = ipv4(toB, IpProtocol.UDP, 100, (ip) => (ip.timeToLive = timeToLive))
    const [[error], forwarded] = run.receive(0, packet)
    expect(forwarded).toEqual([])
    expect(describeFrame(error)).toBe(`${PORT_A} > ${A} 10.0.1.1 > 10.0.1.10 ttl 64 icmp 11/0`)
    expect(error.subarray(42)).toEqual(Buffer.from(packet.subarray(14)))
    expect(run.counters).toMatchObject({ expired: 1, routed: 0 })
  })

  test('network unreachable without a route', () => {
    const run = warm()
    expect(words(run.receive(0, udp(to('8.8.8.8'))))[0][0]).toContain('10.0.1.1 > 10.0.1.10 ttl 64 icmp 3/0')
    expect(run.counters.no_route).toBe(1)
  })

  test('host unreachable after three questions without an answer, for all that have waited', () => {
    const run = warm()
    run.receive(0, udp(to('10.0.2.99')), udp(to('10.0.2.99')))
    const [back, asked] = wait(run, 4)
    expect(asked.filter((text) => text.includes('who has 10.0.2.99?')).length).toBe(2)
    expect(back).toEqual(Array(2).fill(`${PORT_A} > ${A} 10.0.1.1 > 10.0.1.10 ttl 64 icmp 3/1`))
    expect(run.counters).toMatchObject({ routed: 2, no_host: 2 })
    expect(run.held).toBe(0)
  })

  test('port unreachable for UDP to itself, protocol unreachable for others', () => {
    const run = warm()
    expect(words(run.receive(0, udp(to('10.0.1.1'))))[0][0]).toContain('icmp 3/3')
    expect(words(run.receive(0, ipv4(to('10.0.1.1'), 132, 20)))[0][0]).toContain('icmp 3/2')
  })

  test('an error has 576 bytes at most', () => {
    const run = warm()
    const [[error]] = run.receive(0, udp(to('8.8.8.8'), 1400))
    expect(error.length).toBe(14 + 576)
    const ip = new Ipv4Packet()
    expect(ip.wrap(error, 14)).toBe(true)
    describeFrame(error)
  })

  test('no error about errors, later fragments, and packets that aren’t from one host', () => {
    const run = warm()
    const [[error]] = run.receive(0, udp(to('8.8.8.8')))
    const aboutError = ipv4(to('8.8.8.8'), 1, error.length - 34, (ip) =>
      ip.u8.set(error.subarray(34), ip.payloadOffset),
    )
    const fragment = ipv4(to('8.8.8.8'), 17, 64, (ip) => (ip.fragmentOffset = 64))
    const group = udp({ ...to('8.8.8.8'), from: '224.0.0.1' })
    const before = run.counters
    expect(run.receive(0, aboutError, fragment, group)).toEqual([[], []])
    expect(run.counters.no_route - before.no_route).toBe(2)
    expect(run.counters.invalid - before.invalid).toBe(1)
    expect(run.held).toBe(0)
  })
})

describe('what is not routed', () => {
  const broken = (change: (frame: Uint8Array) => void): Uint8Array => {
    const frame = udp(toB)
    change(frame)
    return frame
  }
  test.each<[string, Uint8Array, string]>([
    ['another version', broken((frame) => (frame[14] = 0x65)), 'invalid'],
    ['a wrong checksum', broken((frame) => (frame[24] ^= 1)), 'invalid'],
    ['a header of 16 bytes', broken((frame) => (frame[14] = 0x44)), 'invalid'],
    ['longer than its frame', broken((frame) => (frame[16] = 8)), 'invalid'],
    ['a loopback source', udp({ ...toB, from: '127.0.0.1' }), 'invalid'],
    ['a broadcast of the link', udp({ ...toB, toMac: 'ff:ff:ff:ff:ff:ff' }), 'ignored'],
    ['for another station', udp({ ...toB, toMac: B }), 'ignored'],
    ['for a group', udp(to('224.0.0.5')), 'ignored'],
    ['for all', udp(to('255.255.255.255')), 'ignored'],
    ['for loopback', udp(to('127.0.0.1')), 'ignored'],
    ['no IPv4', broken((frame) => (frame[12] = 0x86)), 'ignored'],
    ['too short', new Uint8Array(13), 'ignored'],
  ])('%s', (_, frame, counter) => {
    const run = warm()
    const before = run.counters[counter]
    expect(run.receive(0, frame)).toEqual([[], []])
    expect(run.counters[counter]).toBe(before + 1)
    expect(run.held).toBe(0)
  })

  test('ARP from an address of another link is neither answered nor believed', () => {
    const run = warm()
    const spoofed = arpRequest({ ...to('10.0.1.1'), from: '10.0.2.20' })
    expect(run.receive(0, spoofed)).toEqual([[], []])
    expect(words(run.receive(0, udp(toB)))[1][0]).toContain(`> ${B} `)
  })
})

describe('limits', () => {
  test('a scan of hosts that aren’t there holds a few buffers, and none in the end', () => {
    const run = warm()
    for (let i = 0; i < 300; i++) run.receive(0, udp(to(formatIpv4(parseIpv4('10.0.2.21') + (i % 200)))))
    expect(run.held).toBe(32)
    expect(run.counters).toMatchObject({ routed: 300, no_room: 268 })
    wait(run, 4)
    expect(run.held).toBe(0)
    expect(run.counters.no_host).toBe(32)
    expect(words(run.receive(0, udp(toB)))[1][0]).toContain('ttl 63')
  })

  test('at the end of the run nothing waits for a host any more', () => {
    const run = warm()
    run.receive(0, udp(to('10.0.2.21')))
    expect(run.held).toBe(1)
    run.steps.quiet?.()
    run.receive(0, udp(to('10.0.2.22')))
    expect(run.held).toBe(0)
    expect(run.counters).toMatchObject({ routed: 2, no_host: 1, no_room: 1 })
  })

  test('what the ring doesn’t take is dropped and counted', () => {
    const run = warm()
    run.ports[1].roomPerStep = 3
    run.ports[0].incoming.push(...Array.from({ length: 8 }, () => udp(toB)))
    run.ports[1].nextStep()
    run.steps.step()
    expect(run.ports[1].sent.length).toBe(3)
    expect(run.counters).toMatchObject({ routed: 8, no_room: 5 })
    expect(run.held).toBe(0)
  })
})

test.each([
  [['10.0.1.1']],
  [['10.0.1.1/33']],
  [['10.0.1.1/24', '--route', '10.0.9.0/24=10.0.2.7']],
  [['10.0.1.1/24', '--route', '10.0.9.0/24']],
])('%j is refused', (argv) => {
  expect(() => router.options?.(argv)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
})

test('an address per device, and one queue', () => {
  const context = {
    devices: ['a', 'b'],
    physical: [false, false],
    queues: 1,
    mtu: 1500,
    log: () => undefined,
    print: () => true,
    stop: new AbortController().signal,
  }
  const options = router.options?.(OPTIONS) as never
  expect(router.plan?.(options, context)).toEqual([options])
  for (const wrong of [{ queues: 2 }, { devices: ['a', 'b', 'c'] }])
    expect(() => router.plan?.(options, { ...context, ...wrong })).toThrow('one address per device')
})
