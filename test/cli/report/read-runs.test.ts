import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { readRuns } from '../../../src/cli/report/read-runs.ts'
import { end, interval, ndjson, start } from './runs.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(content: string | Buffer): string {
  const name = path.join(folder, 'run.ndjson')
  writeFileSync(name, content)
  return name
}

const RUN = ndjson(start(), interval(1, 1, 10, 10), end(1, 10))

test('a run, two that were appended, and one with logs and an error among its lines', async () => {
  expect(await readRuns(file(RUN), 'run')).toMatchObject([
    { command: 'forward', reason: 'duration', notes: [] },
  ])
  const two = await readRuns(file(RUN + RUN), 'run')
  expect(two.map(({ name }) => name)).toEqual(['run (run 1)', 'run (run 2)'])
  const log = '{"level":30,"time":1,"pid":1,"msg":"link up"}\n'
  const [logged] = await readRuns(file(`${log}${RUN}ixy-ts: it failed [IXY_ERR_DEVICE_GONE]\n`), 'run')
  expect(logged.notes).toEqual([])
})

test('one that is cut off says so', async () => {
  const [run] = await readRuns(file(RUN.slice(0, -40)), 'run')
  expect(run.notes.slice(0, 2)).toEqual([
    'The file ends in the middle of a line.',
    expect.stringMatching(/^The end of the run is missing/) as string,
  ])
  expect(run.totals[0].rx.packets).toBe(10)
})

test.each([
  ['nothing', '', /run.ndjson is empty; give the output of ixy-ts … --json/],
  ['text', 'RX: 1 Mpps\nTX: 1 Mpps\n', /line 1: it is no JSON: RX: 1 Mpps; give/],
  ['binary', Buffer.from([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 10, 0]), /the file is binary/],
  ['damage', RUN.replace('"interval"', '"interval'), /line 2: it is no JSON/],
  ['a key that is missing', RUN.replace('"seconds"', '"sec"'), /line 2: interval: seconds is missing/],
  [
    'a key of another type',
    RUN.replace('"elapsed":1,"act', '"elapsed":"1","act'),
    /line 3: end: elapsed: expected number, not "1"/,
  ],
  ['other JSON', '[1]\n', /line 1: it has no event/],
  ['devices', '{"event":"device"}\n', /no run in .*: it is the output of ixy-ts devices/],
])('%s is refused, with its place', async (_, content, message) => {
  await expect(readRuns(file(content), 'run')).rejects.toMatchObject({
    code: 'IXY_ERR_FILE',
    message: expect.stringMatching(message) as string,
  })
})

test('a file that is not there', async () => {
  await expect(readRuns(path.join(folder, 'none'), 'none')).rejects.toMatchObject({
    code: 'IXY_ERR_FILE',
    message: expect.stringContaining('ENOENT') as string,
  })
})
