import { findingsOf } from '../../../src/apps/pktgen/findings.ts'
import { Chalk } from 'chalk'
import { IxyError } from '../../../src/errors.ts'
import { NO_LOSS } from '../../../src/engine/loss.ts'
import type { DeviceCounters, IntervalEvent } from '../../../src/engine/types.ts'
import { JsonReporter, earlyEnd } from '../../../src/cli/output/json.ts'
import type { EndReport, Lines, Reporter } from '../../../src/cli/output/reporter.ts'
import { dropLine } from '../../../src/cli/output/summary.ts'
import { Tally } from '../../../src/cli/output/tally.ts'
import { grouped } from '../../../src/wording.ts'
import { TextReporter } from '../../../src/cli/output/text.ts'
import { requireEvents } from '../../events.ts'

const DEVICE = '0000:03:00.0'
const LINE_RATE = 14_880_952

const interval: DeviceCounters = {
  index: 0,
  device: DEVICE,
  queue: null,
  rx: { packets: LINE_RATE, bytes: LINE_RATE * 60 },
  tx: { packets: 0, bytes: 0 },
  dropped: { missed: 3 },
}
const info = {
  index: 0,
  device: DEVICE,
  model: 'Intel 82599ES',
  mac: '52:54:00:00:00:01',
  access: 'vfio-user',
  linkUp: true,
  linkMbit: 10_000,
} as const

function endReport(changes: Partial<EndReport> = {}): EndReport {
  return {
    elapsed: 2,
    active: 2,
    reason: 'duration',
    devices: new Tally().summarize([interval], 2),
    virtual: [],
    loss: null,
    error: null,
    ...changes,
  }
}

function collect(lines: string[], dropped = 0): Lines {
  const line = (text: string): void => void lines.push(text)
  return { line, intervalLine: line, dropped }
}

function intervalOf(...devices: DeviceCounters[]): IntervalEvent {
  return { time: Date.UTC(2026, 0, 2, 3, 4, 5, 67), elapsed: 1.00049, seconds: 1, devices, totals: devices }
}

function textLines(
  use: (reporter: Reporter) => void,
  quiet = false,
  colour: 0 | 1 = 0,
  columns: number | null = null,
): string[] {
  const lines: string[] = []
  const headline = (): string => 'forwarded 7 packets'
  use(new TextReporter(collect(lines), new Chalk({ level: colour }), headline, { quiet }, () => columns))
  return lines
}

function jsonObjects(use: (reporter: Reporter) => void, quiet = false): Record<string, unknown>[] {
  const lines: string[] = []
  use(new JsonReporter(collect(lines), 'forward', '1.2.3', quiet))
  requireEvents(lines.map((line) => `${line}\n`).join(''))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

function everything(reporter: Reporter): void {
  reporter.start([info])
  reporter.interval(intervalOf(interval))
  reporter.link({ index: 0, device: DEVICE, up: false })
  reporter.end(endReport())
}

describe('text', () => {
  test("an interval is two lines in the ixy family's format and nothing else", () => {
    const lines = textLines((reporter) => reporter.interval(intervalOf(interval)))
    expect(lines).toEqual([
      '[0000:03:00.0] RX: 10000.00 Mbit/s 14.88 Mpps',
      '[0000:03:00.0] TX: 0.00 Mbit/s 0.00 Mpps',
    ])
  })

  test('colours change nothing but the escape sequences', () => {
    const coloured = textLines(everything, false, 1)
    // eslint-disable-next-line no-control-regex
    expect(coloured.map((line) => line.replace(/\x1b\[\d+m/g, ''))).toEqual(textLines(everything))
    expect(coloured.join()).not.toBe(textLines(everything).join())
  })

  test('the summary names packets, bytes, rates, every drop, the wires and the breaches', () => {
    const lines = textLines((reporter) =>
      reporter.end(
        endReport({
          loss: { ...NO_LOSS, judged: true, reason: '', of: 1234, bySequence: true },
          virtual: [
            {
              index: 0,
              device: DEVICE,
              wires: [
                {
                  wire: 'gen',
                  counters: {
                    sent: 1234,
                    received: 1234,
                    lost: 0,
                    duplicated: 0,
                    reordered: 0,
                    corrupted: 0,
                  },
                },
              ],
              breaches: [{ rule: 'RDT = RDH', count: 2 }],
              final: true,
            },
          ],
        }),
      ),
    )
    expect(lines).toEqual([
      '',
      'forwarded 7 packets in 2.00 s: lost 0, duplicated 0, reordered 0, corrupted 0',
      '',
      '[0000:03:00.0]',
      '  RX  14,880,952 packets  892,857,120 bytes  7.44 Mpps  5000.00 Mbit/s',
      '                                       peak  7.44 Mpps  5000.00 Mbit/s',
      '  TX           0 packets            0 bytes  0.00 Mpps     0.00 Mbit/s',
      '                                       peak  0.00 Mpps     0.00 Mbit/s',
      '  dropped: 3 (missed 3)',
      '  wire gen: sent 1,234, received 1,234, lost 0, duplicated 0, reordered 0,',
      '    corrupted 0',
      '  breach of the datasheet, 2 ×: RDT = RDH',
    ])
  })

  test('drops are added up, and those that there are told by cause', () => {
    const plain = new Chalk({ level: 0 })
    expect(dropLine({ dropped: { missed: 2, oversize: 0, crc: 3 } }, plain)).toBe(
      'dropped: 5 (missed 2, crc 3)',
    )
  })

  test('frames of others are told of only where there are any', () => {
    const wires = (foreign: number): string[] => {
      const counters = { arrived: 9, foreign, bytes: 540 }
      const virtual = [
        { index: 0, device: DEVICE, wires: [{ wire: 'sink', counters }], breaches: [], final: true },
      ]
      return textLines((reporter) => reporter.end(endReport({ virtual })))
    }
    expect(wires(0)).toContain('  wire sink: arrived 9, bytes 540')
    expect(wires(2)).toContain('  wire sink: arrived 9, bytes 540, foreign 2')
  })

  test('one packet is a packet, and slow rates come in a unit that shows them', () => {
    const rows = (packets: number, seconds: number): string[] => {
      const one = { ...interval, rx: { packets, bytes: packets * 60 } }
      const devices = new Tally().summarize([one], seconds)
      return textLines((reporter) => reporter.end(endReport({ devices }))).slice(4, 8)
    }
    expect(rows(1, 0.5)).toEqual([
      '  RX  1 packet   60 bytes   2.00 pps  1.34 kbit/s',
      '                     peak   2.00 pps  1.34 kbit/s',
      '  TX  0 packets   0 bytes  0.00 Mpps  0.00 Mbit/s',
      '                     peak  0.00 Mpps  0.00 Mbit/s',
    ])
    expect(rows(1, 3600)[0]).toContain('  0.00 Mpps  ')
    expect(rows(200, 1)[0]).toContain('  200.00 pps  134.40 kbit/s')
    expect(rows(12_345, 1)[0]).toContain('  12.35 kpps  ')
    expect(rows(2_000_000, 1)[0]).toContain('  2.00 Mpps  1344.00 Mbit/s')
  })

  test.each([
    [0, 'RX: 0.00 Mbit/s 0.00 Mpps'],
    [1, 'RX: 672.00 bit/s 1.00 pps'],
    [1000, 'RX: 672.00 kbit/s 1.00 kpps'],
    [9999, 'RX: 6.72 Mbit/s 10.00 kpps'],
    [10_000, 'RX: 6.72 Mbit/s 0.01 Mpps'],
  ])('an interval of %i packets in a second shows %s', (packets, expected) => {
    const slow = { ...interval, rx: { packets, bytes: packets * 60 } }
    const [line] = textLines((reporter) => reporter.interval(intervalOf(slow)))
    expect(line).toBe(`[0000:03:00.0] ${expected}`)
  })

  const twins = [0, 1].map((index) => ({ ...interval, index, device: 'virtual:gen' }))

  test('devices of the same name have their number behind it, everywhere', () => {
    const lines = textLines((reporter) => {
      reporter.interval(intervalOf(...twins, { ...interval, index: 2 }))
      reporter.end(endReport({ devices: new Tally().summarize(twins, 2) }))
    })
    expect(lines.filter((line) => line.startsWith('[')).map((line) => line.split(']')[0])).toEqual([
      ...[
        '[virtual:gen #0',
        '[virtual:gen #0',
        '[virtual:gen #1',
        '[virtual:gen #1',
        '[0000:03:00.0',
        '[0000:03:00.0',
      ],
      ...['[virtual:gen #0', '[virtual:gen #1'],
    ])
  })

  const gen = 'virtual:gen,rate=max'
  const busy = [0, 1].map((index) => ({
    ...interval,
    index,
    device: gen,
    rx: { packets: 4_400_000_000, bytes: 264_000_000_000 },
    dropped: {
      missed: 1_234_567,
      no_descriptor: 7_654_321,
      tx_unsent: 12,
      rx_untaken: 345,
      rx_buffered: 6789,
    },
  }))
  const names = ['sent', 'undelivered', 'received', 'duplicated', 'reordered', 'corrupted', 'lost', 'arrived']
  const wires = [
    { wire: 'gen,rate=max', counters: Object.fromEntries(names.map((name) => [name, 4_400_000_000])) },
  ]
  const rule = 'RDT = RDH + 1: the ring must keep one descriptor free, as the datasheet says (82599 §7.1.9)'
  const breaches = [{ rule, count: 7 }]
  const virtual = [0, 1].map((index) => ({ index, device: gen, wires, breaches, final: true }))
  const balance = [0, 1].map((index) => ({
    from: { device: gen, index },
    to: { device: gen, index: 1 - index },
    ...{
      offered: 4_400_000_000,
      returned: 0,
      copies: 12_345,
      corrupted: 0,
      arrived: 4_399_999_999,
      underWay: 7,
      filteredOut: 4_400_000_000,
    },
    lost: ['dropped', 'missed', 'no_descriptor'].map((cause) => ({
      place: 'wire gen,rate=max',
      cause,
      frames: 123_456,
    })),
    unaccounted: 0,
  }))
  const latency = {
    ...{
      sent: 12_345_678,
      returned: 1000,
      duplicated: 1_234_567,
      damaged: 123_456,
      foreign: 1_234_567,
      late: 0,
    },
    lost: 12_344_678,
    count: 1000,
    min: 1.5,
    mean: 3,
    p50: 3,
    p90: 4,
    p99: 5,
    p999: 6,
    p9999: 7,
    p99999: 8,
    max: 8000,
  }

  test.each([
    [null, 80],
    [80, 80],
    [60, 60],
  ])('with %s columns no line is longer than %i', (columns, longest) => {
    const { json, text } = findingsOf({
      probes: {
        latency,
        jitter: { mean: 12.3, max: 45_678.9, smoothed: 3.4 },
        wire: {
          ...{ unavailable: null, sent: 12_345, count: 12_340, lost: 1, unstamped: 2, disbelieved: 2 },
          wireMicroseconds: latency,
          programMicroseconds: latency,
        },
        reordering: {
          ...{ of: 4_400_000_000, reordered: 1234, ratio: 2.8e-7, extentMean: 12.5, extentMax: 1234 },
          ...{ beyond: 3, queues: 4 },
        },
      },
      streams: [{ name: 'voice', sent: 4_400_000_000, returned: 4_400_000_000, lost: 12 }],
      answered: { arp: 3, neighbour: 4, ping: 5 },
    })
    const app = {
      name: 'pktgen',
      counters: { looked_at: 4_400_000_000, passed_over: 4_400_000_000, not_understood: 3 },
      json,
      text,
    }
    const report = endReport({ devices: new Tally().summarize(busy, 400), virtual, balance, app })
    const use = (reporter: Reporter): void => {
      reporter.start(busy.map((one) => ({ ...info, index: one.index, device: gen })))
      reporter.interval(intervalOf(...twins))
      reporter.end(report)
    }
    for (const colour of [0, 1] as const) {
      // eslint-disable-next-line no-control-regex
      const lines = textLines(use, false, colour, columns).map((line) => line.replace(/\x1b\[\d+m/g, ''))
      expect(lines.filter((line) => line.length > longest)).toEqual([])
      // Nothing is lost by that.
      expect(lines.join(' ').replace(/ +/g, ' ')).toContain(rule)
      expect(lines.join(' ').replace(/ +/g, ' ')).toContain(
        'undelivered 4,400,000,000, received 4,400,000,000',
      )
    }
  })

  test('a name is shortened where a terminal would break the line, and nowhere else', () => {
    const device = `virtual:replay=/a/very/long/path/to/a/capture/that/somebody/has/made/of/traffic.pcap`
    const line = (columns: number | null): string =>
      textLines((reporter) => reporter.interval(intervalOf({ ...interval, device })), false, 0, columns)[0]
    expect(line(null)).toBe(`[${device}] RX: 10000.00 Mbit/s 14.88 Mpps`)
    expect(line(200)).toBe(line(null))
    expect(line(60)).toMatch(/^\[virtual:repl.*…affic\.pcap\] RX: 10000\.00 Mbit\/s 14\.88 Mpps$|^\[virt.*…/)
    expect(line(60)).toHaveLength(60)
    expect(line(20)).toHaveLength(16 + ' RX: 10000.00 Mbit/s 14.88 Mpps'.length)
  })

  test('more than a link carries is said to be so, where nothing keeps to line rate', () => {
    const fast = { ...interval, rx: { packets: 40e6, bytes: 40e6 * 60 } }
    const lines = (limited: boolean): string[] =>
      textLines((reporter) => {
        reporter.start([info], [], limited)
        reporter.interval(intervalOf(fast))
        reporter.end(endReport({ devices: new Tally().summarize([fast], 2) }))
      })
    expect(lines(false)).toContain('[0000:03:00.0] RX: 26880.00 Mbit/s 40.00 Mpps (not limited to line rate)')
    expect(lines(false)).toContain('[0000:03:00.0] TX: 0.00 Mbit/s 0.00 Mpps')
    expect(lines(false)).toContain('  not limited to line rate: a link carries 10000 Mbit/s')
    expect(lines(true).join()).not.toContain('not limited')
  })

  test.each([
    [10, '10.00 s'],
    [9.95, '10.00 s'],
    [2.5, '10.00 s, packets moved for 2.50 s'],
    [67.2e-6, '10.00 s, packets moved for 67.20 µs'],
    [0.05, '10.00 s, packets moved for 50.00 ms'],
    [0, '10.00 s'],
  ])('%f s of movement in 10 s: %s', (active, expected) => {
    const [, first] = textLines((reporter) => reporter.end(endReport({ elapsed: 10, active })))
    expect(first).toBe(`forwarded 7 packets in ${expected}`)
  })

  test('devices of other processes are told with their process, in intervals and at the end', () => {
    const owner = { pid: 4711, command: 'forward' }
    const lines = textLines((reporter) => {
      reporter.interval(intervalOf(interval), [owner])
      reporter.end(endReport({ devices: new Tally().summarize([interval], 2).map((d) => ({ ...d, owner })) }))
    })
    expect(lines.filter((line) => line.endsWith(' (forward, pid 4711)'))).toHaveLength(3)
  })

  test('--quiet leaves the summary', () => {
    const lines = textLines(everything, true)
    expect(lines[0]).toBe('forwarded 7 packets in 2.00 s')
    expect(lines.join('\n')).not.toContain('] RX:')
  })

  test('a run that failed before it had begun has no summary, one that failed later has', () => {
    const error = new IxyError('IXY_ERR_DEVICE_NOT_FOUND', 'no such device')
    expect(textLines((reporter) => reporter.end(endReport({ elapsed: 0, error })))).toEqual([])
    expect(textLines((reporter) => reporter.end(endReport({ error })))).not.toEqual([])
  })
})

describe('json', () => {
  test('start, interval, link and end carry every key of the contract', () => {
    const [start, sample, link, end] = jsonObjects(everything)
    for (const object of [start, sample, link, end])
      expect(object['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(start).toMatchObject({ event: 'start', version: '1.2.3', command: 'forward', devices: [info] })
    expect(sample).toEqual({
      event: 'interval',
      time: '2026-01-02T03:04:05.067Z',
      elapsed: 1,
      seconds: 1,
      device: DEVICE,
      index: 0,
      queue: null,
      rx: {
        packets: LINE_RATE,
        bytes: LINE_RATE * 60,
        mpps: 14.880952,
        mbit: 9999.999744,
        packetsPerSecond: LINE_RATE,
        bitsPerSecond: 9_999_999_744,
      },
      tx: { packets: 0, bytes: 0, mpps: 0, mbit: 0, packetsPerSecond: 0, bitsPerSecond: 0 },
      dropped: { missed: 3 },
      total: {
        rx: { packets: LINE_RATE, bytes: LINE_RATE * 60 },
        tx: { packets: 0, bytes: 0 },
        dropped: { missed: 3 },
      },
    })
    expect(link).toMatchObject({ event: 'link', device: DEVICE, index: 0, up: false })
    expect(end).toMatchObject({
      event: 'end',
      elapsed: 2,
      activeSeconds: 2,
      reason: 'duration',
      error: null,
      devices: [
        {
          device: DEVICE,
          rx: { packets: LINE_RATE, mpps: 7.440476, peakMpps: 7.440476, peakPacketsPerSecond: LINE_RATE / 2 },
        },
      ],
    })
  })

  test('slow rates keep their digits, and an average is packets by time', () => {
    const slow = { ...interval, rx: { packets: 7, bytes: 420 } }
    const active = 3.7
    const [sample, end] = jsonObjects((reporter) => {
      reporter.interval({ ...intervalOf(slow), seconds: 3 })
      reporter.end(endReport({ active, devices: new Tally().summarize([slow], active) }))
    }) as unknown as [
      { rx: Record<string, number>; seconds: number },
      { devices: { rx: Record<string, number> }[]; activeSeconds: number },
    ]
    expect(sample.rx).toMatchObject({ packetsPerSecond: 2.333333333, mpps: 0.000002333333333 })
    expect(sample.rx['packetsPerSecond'] * sample.seconds).toBeCloseTo(7, 7)
    expect(end.devices[0].rx['packetsPerSecond'] * end.activeSeconds).toBeCloseTo(7, 7)
  })

  test('a run that keeps to line rate says so, one that does not, too, and where nobody knows nothing is said', () => {
    const said = (limited?: boolean): unknown[] =>
      jsonObjects((reporter) => {
        reporter.start([info], [], limited)
        reporter.end(endReport(limited === undefined ? {} : { lineRateLimited: limited }))
      }).map(({ lineRateLimited }) => lineRateLimited)
    expect([said(true), said(false), said()]).toEqual([
      [true, true],
      [false, false],
      [undefined, undefined],
    ])
  })

  test('devices of other processes are told with their process', () => {
    const owner = { pid: 4711, command: 'forward' }
    const objects = jsonObjects((reporter) => {
      reporter.start([info], [owner])
      reporter.interval(intervalOf(interval), [owner])
      reporter.end(endReport({ devices: new Tally().summarize([interval], 2).map((d) => ({ ...d, owner })) }))
    })
    expect(objects).toMatchObject([{ devices: [owner] }, owner, { devices: [owner] }])
  })

  test('--quiet leaves the end', () => {
    expect(jsonObjects(everything, true).map(({ event }) => event)).toEqual(['end'])
  })

  test('an error is a code and a message', () => {
    const error = new IxyError('IXY_ERR_DMA', 'mapping failed', 'free memory')
    const [end] = jsonObjects((reporter) => reporter.end(endReport({ error, reason: 'error' })))
    expect(end['error']).toEqual({ code: 'IXY_ERR_DMA', message: 'mapping failed; free memory' })
    expect(JSON.parse(earlyEnd(error))).toEqual({
      event: 'end',
      time: expect.any(String),
      elapsed: 0,
      activeSeconds: 0,
      devices: [],
      reason: 'error',
      error: { code: 'IXY_ERR_DMA', message: 'mapping failed; free memory' },
    })
  })
})

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1234567, '1,234,567'],
])('%d is grouped as %s', (value, text) => {
  expect(grouped(value)).toBe(text)
})
