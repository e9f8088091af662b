import { Chalk } from 'chalk'
import { IxyError } from '../../../src/errors.ts'
import { NO_LOSS } from '../../../src/engine/loss.ts'
import type { DeviceCounters } from '../../../src/engine/types.ts'
import { JsonReporter, failedEnd } from '../../../src/cli/output/json.ts'
import type { EndReport, Reporter } from '../../../src/cli/output/reporter.ts'
import { Tally } from '../../../src/cli/output/tally.ts'
import { TextReporter, grouped } from '../../../src/cli/output/text.ts'

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
  linkMbit: 10_000,
} as const

function endReport(changes: Partial<EndReport> = {}): EndReport {
  return {
    elapsed: 2,
    reason: 'duration',
    devices: new Tally().summarize([interval], 2),
    virtual: [],
    loss: null,
    error: null,
    ...changes,
  }
}

function textLines(use: (reporter: Reporter) => void, quiet = false, colour: 0 | 1 = 0): string[] {
  const lines: string[] = []
  const headline = (): string => 'forwarded 7 packets'
  use(new TextReporter((line) => lines.push(line), new Chalk({ level: colour }), headline, { quiet }))
  return lines
}

function jsonObjects(use: (reporter: Reporter) => void, quiet = false): Record<string, unknown>[] {
  const lines: string[] = []
  use(new JsonReporter((line) => lines.push(line), 'forward', '1.2.3', quiet))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

function everything(reporter: Reporter): void {
  reporter.start([info])
  reporter.interval({ elapsed: 1.00049, seconds: 1, devices: [interval] })
  reporter.link({ index: 0, device: DEVICE, up: false })
  reporter.end(endReport())
}

describe('text', () => {
  test("an interval is two lines in the ixy family's format and nothing else", () => {
    const lines = textLines((reporter) => reporter.interval({ elapsed: 1, seconds: 1, devices: [interval] }))
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
      '[0000:03:00.0] RX  14,880,952 packets  892,857,120 bytes  7.44 Mpps  5000.00 Mbit/s  peak 7.44 Mpps  5000.00 Mbit/s',
      '               TX           0 packets            0 bytes  0.00 Mpps     0.00 Mbit/s  peak 0.00 Mpps     0.00 Mbit/s',
      '  dropped: 3 (missed 3)',
      '  wire gen: sent 1,234, received 1,234, lost 0, duplicated 0, reordered 0, corrupted 0',
      '  breach of the datasheet, 2 ×: RDT = RDH',
    ])
  })

  test('frames of others are told of only where there are any', () => {
    const wires = (foreign: number): string[] => {
      const counters = { arrived: 9, foreign, bytes: 540 }
      const virtual = [{ index: 0, device: DEVICE, wires: [{ wire: 'sink', counters }], breaches: [], final: true }]
      return textLines((reporter) => reporter.end(endReport({ virtual })))
    }
    expect(wires(0)).toContain('  wire sink: arrived 9, bytes 540')
    expect(wires(2)).toContain('  wire sink: arrived 9, bytes 540, foreign 2')
  })

  test('one packet is a packet, and slow rates come in a unit that shows them', () => {
    const rows = (packets: number, seconds: number): string[] => {
      const one = { ...interval, rx: { packets, bytes: packets * 60 } }
      const devices = new Tally().summarize([one], seconds)
      return textLines((reporter) => reporter.end(endReport({ devices }))).slice(3, 5)
    }
    expect(rows(1, 0.5)).toEqual([
      '[0000:03:00.0] RX  1 packet   60 bytes   2.00 pps  0.00 Mbit/s   peak 2.00 pps  0.00 Mbit/s',
      '               TX  0 packets   0 bytes  0.00 Mpps  0.00 Mbit/s  peak 0.00 Mpps  0.00 Mbit/s',
    ])
    expect(rows(1, 3600)[0]).toContain('  0.00 Mpps  ')
    expect(rows(200, 1)[0]).toContain('  0.20 kpps  ')
    expect(rows(200_000, 1)[0]).toContain('  0.20 Mpps  ')
  })

  test('devices of other processes are told with their process, in intervals and at the end', () => {
    const owner = { pid: 4711, command: 'forward' }
    const lines = textLines((reporter) => {
      reporter.interval({ elapsed: 1, seconds: 1, devices: [interval] }, [owner])
      reporter.end(endReport({ devices: new Tally().summarize([interval], 2).map((d) => ({ ...d, owner })) }))
    })
    expect(lines.filter((line) => line.endsWith(' (forward, pid 4711)'))).toHaveLength(4)
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
    expect(start).toMatchObject({ event: 'start', version: '1.2.3', command: 'forward', devices: [info] })
    expect(sample).toEqual({
      event: 'interval',
      elapsed: 1,
      device: DEVICE,
      index: 0,
      queue: null,
      rx: { packets: LINE_RATE, bytes: LINE_RATE * 60, mpps: 14.880952, mbit: 10000 },
      tx: { packets: 0, bytes: 0, mpps: 0, mbit: 0 },
      dropped: { missed: 3 },
    })
    expect(link).toEqual({ event: 'link', device: DEVICE, index: 0, up: false })
    expect(end).toMatchObject({
      event: 'end',
      elapsed: 2,
      reason: 'duration',
      error: null,
      devices: [{ device: DEVICE, rx: { packets: LINE_RATE, mpps: 7.440476, peakMpps: 7.440476 } }],
    })
  })

  test('devices of other processes are told with their process', () => {
    const owner = { pid: 4711, command: 'forward' }
    const objects = jsonObjects((reporter) => {
      reporter.start([info], [owner])
      reporter.interval({ elapsed: 1, seconds: 1, devices: [interval] }, [owner])
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
    expect(JSON.parse(failedEnd(error))).toEqual({
      event: 'end',
      elapsed: 0,
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
