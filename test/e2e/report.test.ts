/** `--report`, `--csv` and `ixy-ts report`, as a user types them. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { RunData } from '../../src/cli/report/model.ts'
import { ixy, objects, temporaryDirectory } from './support.ts'

const folder = temporaryDirectory()
const file = (name: string): string => path.join(folder, name)

/** What a page has embedded. */
function runsOf(page: string): RunData[] {
  const json = /<script type="application\/json" id="runs">(.*?)<\/script>/s.exec(readFileSync(page, 'utf8'))
  return JSON.parse(json?.[1] ?? '') as RunData[]
}

test('a run writes what its --json says, and so does report of that', async () => {
  const [page, table] = [file('run.html'), file('run.csv')]
  const { stdout, code, stderr } = await ixy(
    ...['pktgen', 'virtual:loop', '--latency', '--rate', '2kpps', '-n', '1000', '-i', '0.1', '--json'],
    ...['--report', page, '--csv', table],
  )
  expect(code).toBe(0)
  expect(stderr).toContain(`report: ${page}`)
  const [end] = objects(stdout, 'end') as {
    devices: { rx: object }[]
    latencyMicroseconds: { histogram: number[][]; max: number }
  }[]
  const { histogram, max } = end.latencyMicroseconds
  expect(histogram.reduce((sum, [, count]) => sum + count, 0)).toBe(1000)
  expect(histogram.at(-1)?.[0]).toBe(max)
  const [run] = runsOf(page)
  expect(run).toMatchObject({ latency: end.latencyMicroseconds, command: 'pktgen', notes: [] })
  expect(end.devices[0].rx).toMatchObject(run.totals[0].rx)
  expect(run.arguments?.slice(0, 2)).toEqual(['pktgen', 'virtual:loop'])

  writeFileSync(file('run.ndjson'), stdout)
  const made = await ixy('report', file('run.ndjson'), '--csv', '-', '-o', file('second.html'))
  expect(made.code).toBe(0)
  const [second] = runsOf(file('second.html'))
  expect(second).toEqual({ ...run, name: 'run.ndjson', time: second.time })
  const rows = readFileSync(table, 'utf8').trimEnd().split('\r\n').slice(1)
  expect(rows.reduce((sum, row) => sum + Number(row.split(',')[6]), 0)).toBe(1000)
  expect(made.stdout.split('\r\n').length).toBe(rows.length + 2)
  expect(readdirSync(folder).sort()).toEqual(['run.csv', 'run.html', 'run.ndjson', 'second.html'])
})

test('what cannot be written is refused before the run begins, what fails has a page', async () => {
  const refused = await ixy('forward', 'virtual:gen', 'virtual:sink', '--report', '/none/run.html')
  expect(refused).toMatchObject({ code: 2, stdout: '' })
  expect(refused.stderr).toBe(
    "ixy-ts: can't write /none/run.html: ENOENT; create its folder first [IXY_ERR_FILE]\n",
  )

  const failed = await ixy('pktgen', 'vfio-user:/none', '--report', file('failed.html'))
  expect(failed.code).toBe(3)
  expect(readFileSync(file('failed.html'), 'utf8')).toContain('<code>IXY_ERR_DEVICE_NOT_FOUND</code>')

  const overwritten = await ixy('report', file('failed.html'), '-o', file('failed.html'))
  expect(overwritten).toMatchObject({ code: 2, stderr: expect.stringContaining('it is an input') as string })
  const none = await ixy('report', file('none.ndjson'))
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('ENOENT; check the name') as string })
  expect(existsSync(file('none.html'))).toBe(false)
})
