import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CombinedWire } from '../../../src/vnic/wires/combine.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import type { FileWork } from '../../../src/vnic/wires/kind.ts'
import { parseWires, validateWire, wireClaims } from '../../../src/vnic/wires/parse.ts'
import { SinkWire } from '../../../src/vnic/wires/sink.ts'
import type { Wire } from '../../../src/vnic/wires/wire.ts'
import { pcap } from '../../captures/build.ts'
import { readCapture } from '../../e2e/captures.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-parse-'))
const input = path.join(folder, 'in.pcap')
const output = path.join(folder, 'out.pcap')
const open: Wire[] = []
beforeAll(() => writeFileSync(input, pcap(Array.from({ length: 10 }, (_, i) => ({ data: someFrame(i).u8 })))))
afterEach(() => open.splice(0).forEach((wire) => wire.close()))
afterAll(() => rmSync(folder, { recursive: true }))

const log = (): void => undefined

function parse(text: string, ledger = new Ledger(1), work: FileWork[] = []): Wire {
  validateWire(text)
  const wire = parseWires(text, { ledger, linkMbit: 10_000, work, log })
  open.push(wire)
  return wire
}

/** With captures that can be played at once. */
async function parseReady(text: string, ledger = new Ledger(1)): Promise<Wire> {
  const work: FileWork[] = []
  const wire = parse(text, ledger, work)
  await Promise.all(work.map((one) => one.ready?.()))
  return wire
}

const names = (wire: Wire) => wire.reports().map((report) => report.wire)

describe('what is written becomes', () => {
  test('a generator with its options', () => {
    const wire = parse('gen,rate=1kpps,size=100,flows=2,count=50')
    const port = new FakePort()
    for (let now = 0; now < 100; now++) wire.poll(port, 64, now)
    expect(port.lengths).toEqual(Array(50).fill(100))
    expect(new Set(port.frames.map(({ u8 }) => u8[35]))).toEqual(new Set([42, 43]))
    expect([wire.finite, wire.ended()]).toEqual([true, true])
    expect(names(wire)).toEqual(['gen,rate=1kpps,size=100,flows=2,count=50'])
  })

  test('quantities with units, whatever their case', () => {
    const port = new FakePort(2000)
    pollAll(parse('gen,count=1k,size=60B,flows=1K,rate=MAX'), port)
    expect(port.frames.length).toBe(1000)
    validateWire('gen,rate=1GBIT,count=1e6')
    validateWire('gen,rate=5mpps,fault=drop=10%+linkflap=1/500ms+unplugged=0.5')
    validateWire(`replay=${input},repeat=1k,rate=max`)
  })

  test('a share of the link’s speed', () => {
    const wire = parseWires('gen,rate=1%', { ledger: new Ledger(1), linkMbit: 1000, work: [], log })
    const port = new FakePort()
    for (let now = 0; now <= 1000; now += 0.05) wire.poll(port, 64, now)
    // 10 Mbit/s in frames of 84 bytes.
    expect(Math.abs(port.frames.length - 14_881)).toBeLessThan(5)
  })

  test('a generator that keeps to line rate without a rate, and one that is to go as fast as it can', () => {
    const sentBy = (text: string): number => {
      const port = new FakePort()
      const wire = parse(text)
      for (let i = 0; i <= 1000; i++) wire.poll(port, 256, i / 100)
      return port.frames.length
    }
    // 10 Gbit/s for 10 ms, in frames of 1538 bytes.
    expect(Math.abs(sentBy('gen,size=1514') - 8128)).toBeLessThanOrEqual(8)
    expect(sentBy('gen,rate=max')).toBe(1001 * 256)
  })

  test('a generator that keeps to line rate waits for descriptors, one with a rate does not', () => {
    const sentBy = (text: string): Record<string, number> => {
      const port = new FakePort(10)
      const wire = parse(text)
      for (let i = 0; i <= 1000; i++) wire.poll(port, 256, i / 100)
      expect(wire.nextEvent(10) < 11).toBe(text !== 'gen')
      return countersOf(wire)
    }
    expect(sentBy('gen')).toMatchObject({ sent: 10, undelivered: 0 })
    const { sent, undelivered } = sentBy('gen,rate=100%')
    expect(sent).toBeGreaterThan(140_000)
    expect(undelivered).toBe(sent - 10)
  })

  test('a replay that is to go as fast as the NIC takes it', async () => {
    const port = new FakePort(7)
    const wire = await parseReady(`replay=${input},repeat=0,rate=max`)
    pollAll(wire, port)
    expect(port.frames.length).toBe(7)
    expect(wire.nextEvent(5)).toBe(Infinity)
    port.descriptors = 100
    expect(wire.nextEvent(5)).toBe(Infinity)
    wire.poll(port, 50, 5)
    expect(port.frames.length).toBe(57)
    expect(wire.nextEvent(5)).toBe(5)
  })

  test('a replay at a rate in bits, on average', async () => {
    const wire = await parseReady(`replay=${input},repeat=0,rate=6.72Mbit`)
    const port = new FakePort()
    for (let now = 0; now <= 100; now += 0.05) wire.poll(port, 64, now)
    // Frames of 84 bytes on the wire.
    expect(Math.abs(port.frames.length - 1001)).toBeLessThan(3)
  })

  test('the mix of sizes', () => {
    const port = new FakePort(12)
    pollAll(parse('gen,imix,rate=max'), port)
    expect([...port.lengths].sort((a, b) => a - b)).toEqual([
      ...Array(7).fill(60),
      ...Array(4).fill(566),
      1514,
    ])
  })

  test('every kind of wire', () => {
    const text = `gen,count=1,sink,loop,replay=${input},repeat=2,record=${output},fault=drop=0.5+seed=9`
    const wire = parse(text)
    expect(names(wire)).toEqual([
      'gen,count=1',
      'sink',
      'loop',
      `replay=${input},repeat=2`,
      'fault=drop=0.5+seed=9',
      `record=${output}`,
    ])
  })
})

describe('together', () => {
  test('all sources are heard, all ends get everything', async () => {
    const wire = await parseReady(`gen,count=5,rate=max,replay=${input},sink`)
    const port = new FakePort()
    pollAll(wire, port)
    expect(port.frames.length).toBe(15)
    expect(wire.ended()).toBe(true)
    for (let i = 0; i < 7; i++) wire.send(someFrame(i), 0, 60, 0)
    for (const part of [0, 1, 2]) expect(countersOf(wire, part).arrived).toBe(7)
  })

  test('none of them starves', () => {
    const wire = parse('gen,rate=max,gen,size=100,rate=max')
    const port = new FakePort()
    for (let i = 0; i < 10; i++) expect(wire.poll(port, 64, 0)).toBe(64)
    expect(port.lengths.filter((length) => length === 60).length).toBe(320)
  })

  test('one that has an end is waited for, those without are not', () => {
    const wire = parse('sink,gen,count=100,rate=max')
    expect(wire.finite).toBe(true)
    expect(wire.ended()).toBe(false)
    pollAll(wire, new FakePort())
    expect(wire.ended()).toBe(true)
    const endless = parse('sink,gen')
    expect([endless.finite, endless.ended()]).toEqual([false, false])
    endless.stop()
    expect(endless.ended()).toBe(true)
  })

  test('a frame is booked once, whoever sees it', async () => {
    const ledger = new Ledger(1)
    const wire = await parseReady(`gen,count=10,rate=max,sink,replay=${input},record=${output}`, ledger)
    const port = new FakePort(10)
    wire.poll(port, 10, 0)
    const frames = port.frames.length
    port.forward(wire)
    expect(ledger.tally(0)).toMatchObject({ duplicated: 0, corrupted: 0 })
    expect(ledger.tally(0).received).toBe(frames - countersOf(wire, 0).foreign)
  })

  test('with a loop, nothing is booked before it really comes out', () => {
    const ledger = new Ledger(1)
    const source = parse('gen,count=10,rate=max', ledger)
    const wire = parse(`loop,record=${output}`, ledger)
    const [near, far] = [new FakePort(), new FakePort()]
    pollAll(source, near)
    near.forward(wire)
    expect(ledger.tally(0).received).toBe(0)
    pollAll(wire, far)
    far.forward(source)
    expect(ledger.tally(0)).toMatchObject({ received: 10, duplicated: 0 })
  })

  test('a refused frame reaches everyone exactly once', () => {
    const wire = parse(`loop,sink,record=${output}`)
    let sent = 0
    while (wire.send(someFrame(sent), 0, 60, 0)) sent++
    expect([countersOf(wire, 0).arrived, countersOf(wire, 1).arrived, countersOf(wire, 2).arrived]).toEqual(
      Array(3).fill(sent),
    )
    pollAll(wire, new FakePort())
    expect(wire.send(someFrame(sent), 0, 60, 0)).toBe(true)
    expect([countersOf(wire, 0).arrived, countersOf(wire, 1).arrived, countersOf(wire, 2).arrived]).toEqual(
      Array(3).fill(sent + 1),
    )
  })

  test('a frame that one has and another refuses is held until it is where it counts as arrived', () => {
    const parts = [new SinkWire('sink', null), parse('loop')]
    const [counts, waits] = [new CombinedWire(parts), new CombinedWire(parts, 2, 1)]
    let sent = 0
    while (waits.send(someFrame(sent), 0, 60, 0)) sent++
    // The loop holds what it has taken, and has not taken the last one.
    expect(waits.account().out).toMatchObject({ arrived: 0, held: sent })
    // The sink has those two, and what the loop holds is on its way.
    counts.send(someFrame(sent), 0, 60, 0)
    expect(counts.account().out).toMatchObject({ arrived: 2, held: sent - 1 })
  })

  test('two that refuse: each gets every frame once, in order, even if the NIC then offers another one', () => {
    const wire = parse('sink,loop,loop')
    const port = new FakePort()
    const expected: string[] = []
    for (let i = 0; i < 100_000; i++) {
      if (wire.send(someFrame(i), 0, 60, 0)) expected.push(String(i))
      if (i % 30_000 === 29_999) pollAll(wire, port)
    }
    pollAll(wire, port)
    const got = port.frames.map(({ u32 }) => String((u32[0] ^ 0x03020100) >>> 0))
    const count = new Map<string, number>()
    for (const i of got) count.set(i, (count.get(i) ?? 0) + 1)
    expect([...count.keys()]).toEqual(expected)
    expect(new Set(count.values())).toEqual(new Set([2]))
    expect(wire.reports().map(({ counters }) => counters.arrived)).toEqual(Array(3).fill(expected.length))
  })

  test('the recorder sees what the NIC sends, before the faults', () => {
    const wire = parse(`fault=drop=1,record=${output},sink`)
    for (let i = 0; i < 5; i++) wire.send(someFrame(i), 0, 60, 0)
    wire.close()
    expect(countersOf(wire, 0).arrived).toBe(0)
    expect(readCapture(output).length).toBe(5)
  })

  test('faults may be around nothing, and around each other', () => {
    const wire = parse('fault=drop=0.5+seed=1,fault=drop=0.5+seed=2')
    for (let i = 0; i < 1000; i++) wire.send(someFrame(i), 0, 60, 0)
    const [noEnd, ...faults] = wire.reports()
    const [inner, outer] = faults.map(({ counters }) => counters.outDropped)
    expect(noEnd.counters.arrived).toBe(1000 - outer - inner)
    expect(Math.abs(outer - 500)).toBeLessThan(80)
    expect(Math.abs(inner - (1000 - outer) / 2)).toBeLessThan(60)
  })
})

describe('wrong lists', () => {
  const usage = (message: RegExp) =>
    expect.objectContaining({
      code: 'IXY_ERR_USAGE',
      message: expect.stringMatching(message),
      fix: expect.stringMatching(/./),
    })

  test.each([
    ['', /'' is not a wire.*gen.*sink.*loop.*tap=<ifname>.*replay=.*record=.*fault=/],
    ['nonsense', /'nonsense' is not a wire/],
    ['gen,', /'' is neither a wire nor an option of 'gen'/],
    ['rate=1Mpps', /'rate=1Mpps' is not a wire/],
    ['gen,speed=1', /'speed=1' is neither a wire nor an option of 'gen'; write gen\[,rate=<r>\]/],
    ['sink,rate=1Mpps', /neither a wire nor an option of 'sink'/],
    ['gen,size=60,size=61', /gives size= twice/],
    ['gen=1', /'gen=1' is not a complete wire/],
    ['tap', /'tap' is not a complete wire; write tap=<ifname>/],
    ['tap=', /write tap=<ifname>/],
    ['tap=a-name-of-an-interface', /can't be the name of a network interface/],
    ['tap=a/b', /can't be the name/],
    ['record=', /write record=<file>/],
    ['record=o,snaplen=0', /snaplen=0/],
    ['record=o,files=3', /files= needs filesize=/],
    ['record=-,filesize=3', /filesize= needs a file/],
    ['replay=in.pcap,rate=1kpps,gap=1s', /rate= sets the capture's timing aside/],
    ['replay=in.pcap,speed=0', /speed=0 is not valid; give a factor/],
    ['replay=in.pcap,gap=0', /gap=0 is not valid; give a time from 1ms/],
    ['replay=in.pcap,mac=1', /'1' is not a MAC address/],
    ['replay=in.pcap,strict=1', /strict takes no value/],
    ['toString', /'toString' is not a wire/],
    ['gen,size=59', /size=59/],
    ['gen,size=9015', /from 60 to 9014/],
    ['gen,size=NaN', /size=NaN/],
    ['gen,size=-60', /size=-60/],
    ['gen,count=0', /count=0/],
    ['gen,count=1.5', /count=1.5/],
    ['gen,flows=0', /flows=0/],
    ['gen,flows=16385', /from 1 to 16384/],
    ['gen,rate=0pps', /'0pps' is not a packet rate/],
    ['gen,rate=fast', /'fast' is not a packet rate/],
    ['gen,rate', /'' is not a packet rate/],
    ['gen,imix,size=60', /imix has sizes of its own/],
    ['gen,imix=7', /imix has sizes of its own/],
    ['fault=', /write fault=<list>/],
    ['fault=drop', /'drop' is not a fault; use drop=<p>, corrupt=<p>.*seed=<n>/],
    ['fault=burn=1', /'burn=1' is not a fault/],
    ['fault=drop=1.1', /drop=1.1 is not valid; give a share from 0 to 1, or from 0% to 100%/],
    ['fault=drop=-0.1', /drop=-0.1/],
    ['fault=drop=NaN', /drop=NaN/],
    ['fault=drop=0.1=2', /not a fault/],
    ['fault=drop=0.1+drop=0.2', /gives drop= twice/],
    ['fault=seed=1', /names no fault/],
    ['fault=drop=0.1+seed=-1', /seed=-1/],
    ['fault=drop=101%', /drop=101%/],
    ['fault=linkflap=2h', /linkflap=2h is not valid; give a time from 1ms to 3600s/],
    ['gen,rate=101%', /'101%' is more than the link carries.*or max/],
    ['gen,rate=20Mpps', /'20Mpps' is more than the link carries/],
    ['gen,size=1514,rate=1Mpps', /'1Mpps' is more than the link carries: 0.8127 Mpps of 1514 bytes/],
    [`replay=${input},rate=12Gbit`, /'12Gbit' is more than the link carries/],
    ['fault=linkflap=0s', /linkflap=0s/],
    ['fault=linkflap=1s/2s/3s', /too many times/],
  ])('%s', (text, message) => {
    expect(() => validateWire(text)).toThrow(usage(message))
    expect(() => parse(text)).toThrow(usage(message))
  })

  test('captures that can’t be read or written', () => {
    const file = (message: RegExp) =>
      expect.objectContaining({ code: 'IXY_ERR_FILE', message: expect.stringMatching(message) })
    expect(() => validateWire(`replay=${folder}/none.pcap`)).toThrow(file(/ENOENT/))
    const text = path.join(folder, 'text.pcap')
    writeFileSync(text, 'this is not a capture, but long enough to be one')
    expect(() => validateWire(`replay=${text}`)).toThrow(file(/doesn't start like a capture/))
    expect(() => validateWire(`replay=${input},repeat=-1`)).toThrow(usage(/repeat=-1/))
    expect(() => parse(`gen,record=${folder}/none/x.pcap`)).toThrow(file(/can't write/))
  })
})

test('validating creates nothing', () => {
  const file = path.join(folder, 'never.pcap')
  validateWire(`record=${file},tap=ixnever0,gen`)
  expect(existsSync(file)).toBe(false)
  expect(readFileSync('/proc/net/dev', 'utf8')).not.toContain('ixnever0')
})

test('when one wire can’t be made, the others are closed', async () => {
  const usersOf = (file: string) =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === file
      } catch {
        return false
      }
    }).length
  const fifo = path.join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  expect(() => parse(`replay=${fifo},record=${folder}/none/x.pcap`)).toThrow()
  const deadline = performance.now() + 10_000
  while (usersOf(fifo) > 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  expect(usersOf(fifo)).toBe(0)
})

test('what a wire takes for itself, whatever its files are called', () => {
  expect(
    wireClaims('tap=a,gen,rate=1kpps,replay=x\\,y.pcap,repeat=2,record=a\\xff,replay=-,record=/dev/stdout'),
  ).toEqual([
    { use: 'tap', resource: 'a' },
    { use: 'read', resource: 'x,y.pcap' },
    { use: 'write', resource: Buffer.from([0x61, 0xff]) },
    { use: 'read', resource: '-' },
    { use: 'write', resource: '-' },
  ])
})
