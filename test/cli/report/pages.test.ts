/** What stands in a page and in a table, without a browser. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { comparison, figuresOf, judge } from '../../../src/cli/report/comparison.ts'
import { csv } from '../../../src/cli/report/csv.ts'
import { html, jsonBlock } from '../../../src/cli/report/html.ts'
import { RunRecord } from '../../../src/cli/report/record.ts'
import type { RunData } from '../../../src/cli/report/model.ts'
import { runSection } from '../../../src/cli/report/run-section.ts'
import { SafeFile } from '../../../src/cli/report/safe-file.ts'
import { HOSTILE, end, interval, start } from './runs.ts'

function run(name: string, packets: number, more: object = {}): RunData {
  const record = new RunRecord()
  record.add('start', start())
  record.add('interval', interval(1, 1, packets, packets, 3))
  record.add('end', end(1, packets, more))
  return record.data(name)
}

test('what comes from outside is text, in HTML and in JSON', () => {
  expect(html`<p title="${'"'}">${HOSTILE}</p>`.text).toBe(
    '<p title="&quot;">virtual:gen&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;</p>',
  )
  const block = jsonBlock('runs', [run('a', 1)]).text
  expect(block.match(/<\/?script/g)).toEqual(['<script', '</script'])
  expect(block).toContain('virtual:gen\\u003c/script>')
  const section = runSection(run('<b>', 1, { error: { code: 'X', message: '<i>' } }), 0, false).text
  expect(section).not.toMatch(/<b>a|<i>|<img/)
})

test('what several devices have counted is added up', () => {
  const one = run('a', 100)
  const [total] = one.totals
  const flow = (packets: number): typeof total.rx => ({ ...total.rx, packets, packetsPerSecond: packets })
  const dropped = { missed: 30, crc: 20, filtered_out: 5 }
  const totals = [total, { ...total, index: 1, rx: flow(50), tx: flow(25), dropped }]
  const place = { place: 'here', cause: 'missed' }
  const way = {
    ...{
      from: { device: 'a', index: 0 },
      to: { device: 'b', index: 1 },
      offered: 1000,
      returned: 0,
      copies: 0,
    },
    ...{ arrived: 993, corrupted: 0, underWay: 0, filteredOut: 0, unaccounted: 0 },
    lost: [
      { ...place, frames: 3 },
      { ...place, frames: 4 },
    ],
  }
  const both: RunData = { ...one, totals, balance: [way] }
  expect(figuresOf([both]).map(({ name, of }) => [name, of(both)])).toEqual(
    expect.arrayContaining([
      ['All devices, sent', 125],
      ['All devices, received', 150],
      ['Device #0, sent', 100],
      ['Dropped by the devices, of all received', 50 / 200],
    ]),
  )
  const words = runSection(both, 0, false)
    .text.replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
  expect(words).toContain('Sent 125.00 pps 125 packets')
  expect(words).toContain('Received 150.00 pps 150 packets')
  expect(words).toContain('missed 3 (here) missed 4 (here) 1,000 0 993 7 0 0 0 0')
})

test.each([
  [95, 100, 'more', 'same'],
  [94.9, 100, 'more', 'worse'],
  [106, 100, 'more', 'better'],
  [106, 100, 'less', 'worse'],
  [0.001, 0, 'less', 'worse'],
  [0, 0, 'less', 'same'],
  [null, 1, 'less', null],
] as const)('%s against %s, where %s is better: %s', (value, baseline, better, judgement) => {
  expect(judge(value, baseline, better, 0.05)).toBe(judgement)
})

test('a regression is marked, and runs of other commands are not judged', () => {
  const [before, after] = [run('before', 1000), run('after', 900)]
  const text = comparison([before, after], 0.05).text
  expect(text).toContain('<strong>after</strong>: All devices, sent')
  expect(text).toMatch(/900\.00 pps<small> -10\.0 % ▼ worse/)
  expect(comparison([before, after], 0.2).text).toContain('No regression.')
  const other = comparison([before, { ...after, command: 'pktgen' }], 0.05).text
  expect(other).toContain('No regression.')
  expect(other).toContain('Not all of these are runs of the same')
})

test('the results of rfc2544 are a row for each size of frames, and say what is not known', () => {
  const rate = { packetsPerSecond: 1e6, bitsPerSecond: 672e6, share: 0.0672 }
  const size = {
    ...{ frameBytes: 64, lineRate: { packetsPerSecond: 14880952.38, bitsPerSecond: 1e10, share: 1 } },
    throughput: { ...rate, forwarded: rate, upper: null, reached: false, testerLimited: true },
    loss: [{ share: 1, intended: rate, offered: rate, sent: 10, lost: 1, lossRatio: 0.1, unusable: null }],
    reset: null,
  }
  const rfc2544 = { complete: false, directions: 1, trials: 7, linkMbit: 10_000, sizes: [size] }
  const text = runSection(run('r', 10, { rfc2544 }), 0, true).text.replaceAll(/\s+/g, ' ')
  expect(text).toContain('Not complete: it was ended before all was tested.')
  expect(text).toMatch(
    /1\.00 Mpps<\/td>.*672\.00 Mbit\/s<\/td>.*6\.72 %<\/td>.*search not at its end, limited by the tester/,
  )
  expect(text).toMatch(/100 %<\/td>.*10 %<\/td>/)
  expect(text).not.toContain('Non-drop rate')
  expect(() => run('r', 10, { rfc2544: { ...rfc2544, sizes: [{ frameBytes: 64 }] } })).toThrow(
    'rfc2544.sizes.0.lineRate is missing',
  )
})

const TIMES = { min: 1, mean: 2, p50: 2, p90: 3, p99: 4, p999: 5, p9999: 6, max: 7 }

test('what pktgen has found out of times on the wire, order, jitter, streams and answers', () => {
  const found = {
    jitterMicroseconds: { mean: 1.5, max: 12.25, smoothed: null },
    reordering: { of: 1000, reordered: 20, ratio: 0.02, extentMean: 3.5, extentMax: 7, beyond: 1, queues: 2 },
    wireLatency: {
      ...{ unavailable: null, sent: 60, count: 57, lost: 1, unstamped: 2, disbelieved: 0 },
      wireMicroseconds: { ...TIMES, max: 1234.5 },
      programMicroseconds: { ...TIMES, max: 2.5, p9999: null },
    },
    streams: [{ name: HOSTILE, sent: 1500, returned: 1400, lost: 100 }],
    answered: { arp: 3, neighbour: 0, ping: 2 },
  }
  const text = runSection(run('r', 10, found), 0, true).text.replaceAll(/\s+/g, ' ')
  expect(text).toMatch(/Jitter.*1\.5 µs<\/.*12\.25 µs<\/td>.*–<\/td>/)
  expect(text).toMatch(/on the wire<.*1\.234 ms<.*in the program<.*–<\/td>.*2\.5 µs<.*unstamped.*2</)
  expect(text).toMatch(/Reordered.*20<.*1,000<.*2 %<.*at least 3\.5<.*at least 7<.*Order is that among/)
  expect(text).toMatch(/Streams.*&lt;img.*1,500<.*1,400<.*100</)
  expect(text).toMatch(/Answered.*arp.*3<.*ping.*2</)
  // Where nothing came back there is nothing to say.
  const nothing = {
    of: 0,
    reordered: 0,
    ratio: null,
    extentMean: null,
    extentMax: null,
    beyond: 0,
    queues: 1,
  }
  const unable = {
    ...{ unavailable: 'tap:x stamps no packets', sent: 0, count: 0, lost: 0, unstamped: 0, disbelieved: 0 },
    wireMicroseconds: TIMES,
    programMicroseconds: TIMES,
  }
  expect(runSection(run('r', 10, { wireLatency: unable }), 0, true).text).toContain('tap:x stamps no packets')
  const none = { jitterMicroseconds: { mean: null, max: null, smoothed: null }, reordering: nothing }
  expect(runSection(run('r', 10, none), 0, true).text).not.toMatch(/Jitter|Reordered|Streams|Answered/)
})

test('the table quotes what has commas and quotes, and nothing is a formula', () => {
  const [head, ...rows] = csv([run('=1+1', 10)])
    .trimEnd()
    .split('\r\n')
  expect(head).toBe(
    'run,device,index,queue,end,seconds,rx_packets,rx_bytes,rx_packets_per_second,rx_bits_per_second,' +
      'tx_packets,tx_bytes,tx_packets_per_second,tx_bits_per_second,dropped_missed',
  )
  expect(rows[0]).toBe(`'=1+1,"${HOSTILE.replaceAll('"', '""')}",0,,1,1,10,600,10,6720,10,600,10,6720,3`)
})

describe('a file that is there as a whole or not at all', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  const file = path.join(folder, 'report.html')
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('keeps a link, the mode, and what was there until the new one is whole', async () => {
    writeFileSync(file, 'old')
    chmodSync(file, 0o600)
    const link = path.join(folder, 'link.html')
    symlinkSync(file, link)
    const safe = new SafeFile(link)
    expect(readdirSync(folder).sort()).toEqual(['link.html', 'report.html'])
    expect(readFileSync(file, 'utf8')).toBe('old')
    await safe.write('new')
    expect(readFileSync(file, 'utf8')).toBe('new')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).sort()).toEqual(['link.html', 'report.html'])
  })

  test('nothing takes the place of a device', async () => {
    await new SafeFile('/dev/null').write('gone')
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true)
  })

  test.each([
    ['a folder that is not there', path.join(folder, 'none', 'x.html'), 'ENOENT; create its folder first'],
    ['a folder', folder, 'EISDIR'],
    ['a file as folder', path.join(file, 'x.html'), 'ENOTDIR'],
  ])('%s is refused before anything is done', (_, name, why) => {
    writeFileSync(file, '')
    expect(() => new SafeFile(name)).toThrow(why)
    expect(existsSync(path.join(folder, 'none'))).toBe(false)
  })

  test('a disk that is full is told, and leaves nothing', async () => {
    const safe = new SafeFile('/dev/full')
    await expect(safe.write('x'.repeat(100_000))).rejects.toMatchObject({ code: 'IXY_ERR_OUTPUT' })
  })
})
