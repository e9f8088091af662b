/** What the tool says about rates, times and totals, held against what was counted elsewhere. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { lineRateLimited } from '../../src/cli/device-argument.ts'
import { lineRate } from '../../src/packet/rate.ts'
import { pcap } from '../captures/build.ts'
import { Tool, ixy, objects, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()

interface Traffic {
  readonly packets: number
  readonly bytes: number
}
interface Rates extends Traffic {
  readonly packetsPerSecond: number
  readonly bitsPerSecond: number
}
interface Interval {
  readonly time: string
  readonly seconds: number
  readonly index: number
  readonly rx: Rates
  readonly tx: Rates
  readonly dropped: Record<string, number>
  readonly total: { readonly rx: Traffic; readonly tx: Traffic; readonly dropped: Record<string, number> }
}
interface End {
  readonly elapsed: number
  readonly activeSeconds: number
  readonly lineRateLimited: boolean
  readonly devices: { readonly rx: Rates; readonly tx: Rates }[]
  readonly virtual: { readonly wires: { readonly counters: Record<string, number> }[] }[]
}

async function endOf(...args: string[]): Promise<End> {
  const { code, stdout, stderr } = await ixy(...args, '--json', '--quiet', '--log-level', 'warn')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return objects(stdout, 'end')[0] as unknown as End
}

/** A capture of frames of 60 bytes, one for each of `times` in microseconds. */
function capture(name: string, times: readonly number[]): string {
  const file = path.join(directory, name)
  const data = new Uint8Array(60)
  const packets = times.map((time) => ({ seconds: Math.floor(time / 1e6), fraction: time % 1e6, data }))
  writeFileSync(file, pcap(packets))
  return file
}

// Half a second of it fills an octet counter, if the main thread doesn't get its turn before that (statistics-board.test.ts).
test('what is faster than any link is counted to the byte, or said to be missing', async () => {
  const jumbo = ['--size', '9014', '--mtu', '9000', '--rate', 'max']
  const args = [
    'pktgen',
    'virtual:sink',
    ...jumbo,
    '-d',
    '0.7',
    '-i',
    '10',
    '--json',
    '--quiet',
    '--log-level',
    'warn',
  ]
  const { code, stdout, stderr } = await ixy(...args)
  const [end] = objects(stdout, 'end') as unknown as End[]
  const { tx } = end.devices[0]
  const { arrived, bytes } = end.virtual[0].wires[0].counters
  expect(code).toBe(0)
  expect(tx.packets).toBe(arrived)
  expect(bytes).toBe(arrived * 9014)
  if (stderr === '') expect(tx.bytes).toBe(bytes)
  else expect(stderr).toMatch(/GOTCL has reached its largest value and stuck there/)
  expect(end.lineRateLimited).toBe(false)
})

describe('line rate', () => {
  test.each([
    ['pktgen', ['pktgen', 'virtual:sink', '--size', '1514'], 'tx'],
    ['gen', ['forward', 'virtual:gen,size=1514', 'virtual:sink'], 'rx'],
  ] as const)('is what %s keeps to unless told otherwise', async (_, args, direction) => {
    const end = await endOf(...args, '-d', '0.15')
    const { packets, packetsPerSecond, bitsPerSecond } = end.devices[0][direction]
    expect(end.lineRateLimited).toBe(true)
    expect(packets).toBeGreaterThan(1000)
    // Never more, and how much less is the machine's business.
    expect(packetsPerSecond).toBeLessThan(lineRate(1514, 10_000) * 1.001)
    expect(bitsPerSecond).toBeLessThan(10.01e9)
  })

  test('what goes beyond it is said to', async () => {
    const args = ['pktgen', 'virtual:sink', '--size', '9014', '--mtu', '9000', '--rate', 'max', '-i', '0.1']
    const tool = new Tool(args)
    await tool.until(
      /^\[virtual:sink\] TX: \d{5,}\.\d\d Mbit\/s \d+\.\d\d Mpps \(not limited to line rate\)$/m,
    )
    const { stdout, stderr } = await tool.kill()
    expect(stdout).toMatch(/^ {2}not limited to line rate: a link carries 10000 Mbit\/s$/m)
    expect(stderr).toMatch(/link up at 10000 Mbit\/s, not limited to line rate/)
  })

  test.each([
    [['virtual:gen', 'virtual:gen'], true],
    [['virtual:gen,rate=50%', 'virtual:sink'], true],
    [['virtual:gen,rate=max', 'virtual:sink'], false],
    [['virtual:gen,gen,size=100', 'virtual:sink'], false],
    [['virtual:gen,fault=dup=0.1+seed=1', 'virtual:sink'], false],
  ])('%s keep to it: %s', (devices, expected) => {
    expect(lineRateLimited(devices, false)).toBe(expected)
  })
})

test('intervals have a time, running totals that are their sum, and rates that are their packets', async () => {
  const args = [
    'forward',
    'virtual:gen,rate=5kpps',
    'virtual:gen,rate=3kpps',
    '--mode',
    'interrupt',
    '-d',
    '1.2s',
    '-i',
    '200ms',
    '--json',
  ]
  const { stdout } = await ixy(...args)
  const intervals = objects(stdout, 'interval') as unknown as Interval[]
  const [end] = objects(stdout, 'end') as unknown as End[]
  // Five of each where nothing else runs.
  expect(intervals.length).toBeGreaterThanOrEqual(4)
  for (const index of [0, 1]) {
    const own = intervals.filter((interval) => interval.index === index)
    let [rx, bytes, tx, before] = [0, 0, 0, '']
    for (const interval of own) {
      expect(interval.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      expect(interval.time > before).toBe(true)
      before = interval.time
      rx += interval.rx.packets
      bytes += interval.rx.bytes
      tx += interval.tx.packets
      expect(interval.total).toMatchObject({ rx: { packets: rx, bytes }, tx: { packets: tx } })
      expect(Object.keys(interval.total.dropped)).toEqual(Object.keys(interval.dropped))
      expect(interval.rx.packetsPerSecond * interval.seconds).toBeCloseTo(interval.rx.packets, 4)
      const wireBytes = interval.rx.bytes + interval.rx.packets * 24
      expect((interval.rx.bitsPerSecond * interval.seconds) / 8).toBeCloseTo(wireBytes, 2)
    }
    expect(end.devices[index].rx.packets).toBeGreaterThanOrEqual(rx)
    expect(end.devices[index].rx.bytes).toBe(end.devices[index].rx.packets * 60)
  }
})

test('slow rates have their unit, twins their number, and a line fits 80 columns', async () => {
  const { stdout } = await ixy(
    ...['forward', 'virtual:gen,rate=1kpps', 'virtual:gen,rate=1kpps'],
    ...['-d', '500ms', '-i', '200ms', '--mode', 'interrupt'],
  )
  for (const index of [0, 1])
    for (const direction of ['RX', 'TX'])
      expect(stdout).toMatch(
        new RegExp(
          `^\\[virtual:gen,rate=1kpps #${index}\\] ${direction}: [\\d.]+ [kM]bit/s [\\d.]+ k?pps$`,
          'm',
        ),
      )
  expect(stdout).toMatch(/^\[virtual:gen,rate=1kpps #1\]\n {2}RX /m)
  expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
})

describe('averages', () => {
  test('are over the time in which packets moved', async () => {
    const file = capture(
      'thousand.pcap',
      Array.from({ length: 1000 }, () => 0),
    )
    const end = await endOf('forward', `virtual:replay=${file},rate=100%`, 'virtual:sink')
    const { packets, packetsPerSecond } = end.devices[0].rx
    expect(packets).toBe(1000)
    expect(packetsPerSecond * end.activeSeconds).toBeCloseTo(1000, 3)
    // It takes the run a moment to notice that all has been sent. `elapsed` is given to the microsecond.
    expect(end.activeSeconds).toBeLessThanOrEqual(end.elapsed + 1e-6)
    expect(end.activeSeconds).toBeGreaterThanOrEqual(999 / lineRate(60, 10_000))
  })

  test('count a pause between two packets', async () => {
    const file = capture('pause.pcap', [0, 1, 2, 900_000])
    const { activeSeconds, elapsed, devices } = await endOf(
      'forward',
      `virtual:replay=${file}`,
      'virtual:sink',
      '--mode',
      'interrupt',
    )
    expect(devices[1].tx.packets).toBe(4)
    expect(activeSeconds).toBeGreaterThan(0.89)
    expect(activeSeconds).toBeLessThanOrEqual(elapsed + 1e-5)
    expect(devices[1].tx.packetsPerSecond * activeSeconds).toBeCloseTo(4, 6)
  })
})

test('--expect-mpps is not met by a run without packets', async () => {
  const run = await ixy(
    'forward',
    'virtual:sink',
    'virtual:sink',
    '-d',
    '200ms',
    '--expect-mpps',
    '0',
    '--quiet',
  )
  expect(run.code).toBe(5)
  expect(run.stderr).toMatch(
    /no packet was sent, expected at least 0 Mpps \(--expect-mpps\) \[IXY_ERR_EXPECTATION\]/,
  )
})

test.each([
  ['pktgen virtual:sink --duration 1m -i 100ms -n 1k --rate 5mpps --size 60B --expect-loss 1%'],
  ['pktgen virtual:sink --duration 1h -n 1e3 --rate 1Gbps --flows 1k --mtu 9kB'],
  ['pktgen virtual:sink --duration 100ms --rate 1gbit --expect-mpps 10kpps'],
  [
    'forward virtual:gen,count=2k,rate=1GBIT,fault=drop=10%+seed=1+unplugged=0.1 virtual:sink --expect-loss 50%',
  ],
])('units are taken: %s', async (command) => {
  const { code, stderr } = await ixy(...command.split(' '), '--log-level', 'warn', '--quiet')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})
