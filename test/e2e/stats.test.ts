import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tool, objects } from './support.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-run-'))
const env = { IXY_TS_RUNTIME_DIR: directory }
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('nothing to show: a line on stderr, exit 3', async () => {
  const { code, stdout, stderr } = await new Tool(['stats'], { env }).end()
  expect(code).toBe(3)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/no .*ixy-ts.*\[IXY_ERR_NOTHING_TO_SHOW\]/)
})

test('follows a forward and a pktgen at once, in text and in JSON, and no dead one', async () => {
  const forward = new Tool(['forward', 'virtual:gen,rate=10kpps', 'virtual:sink'], { env })
  const pktgen = new Tool(['pktgen', 'virtual:sink', '--rate', '20kpps'], { env })
  const killed = new Tool(['pktgen', 'virtual:record=/dev/null', '--rate', '1kpps'], { env })
  await Promise.all([forward.until(/RX:/), pktgen.until(/TX:/), killed.until(/TX:/)])
  await killed.kill('SIGKILL')

  const text = await new Tool(['stats', '--duration', '3'], { env }).end()
  expect(text.code).toBe(0)
  expect(text.stdout).toMatch(/\[virtual:gen,rate=10kpps\] RX: [\d.]+ Mbit\/s (0\.01 Mpps|[\d.]+ kpps)/)
  expect(text.stdout).toMatch(/\[virtual:sink\] TX: [\d.]+ Mbit\/s 0\.0\d Mpps/)
  expect(text.stdout).not.toContain('record')
  const summary = text.stdout.slice(text.stdout.indexOf('watched 3 devices'))
  expect(summary).toMatch(
    new RegExp(`\\[virtual:gen,rate=10kpps\\] \\(forward, pid ${forward.pid}\\)\n  RX `),
  )
  expect(summary).toMatch(new RegExp(`\\[virtual:sink\\] \\(pktgen, pid ${pktgen.pid}\\)\n  RX `))

  const json = await new Tool(['stats', '--json', '--duration', '3', 'virtual:gen,rate=10kpps'], {
    env,
  }).end()
  const intervals = objects(json.stdout, 'interval') as { device: string; rx: { mpps: number } }[]
  expect(intervals.length).toBeGreaterThanOrEqual(2)
  for (const { device, rx } of intervals) {
    expect(device).toBe('virtual:gen,rate=10kpps')
    // A source that was kept waiting makes up for it, at up to twice its rate.
    expect(rx.mpps).toBeGreaterThan(0)
    expect(rx.mpps).toBeLessThan(0.03)
  }

  expect(objects(json.stdout, 'end')).toMatchObject([{ devices: [{ pid: forward.pid, command: 'forward' }] }])

  for (const tool of [forward, pktgen]) expect((await tool.kill()).code).toBe(0)
})

test('ends with exit 0 on SIGINT', async () => {
  const forward = new Tool(['forward', 'virtual:gen,rate=1kpps', 'virtual:sink'], { env })
  await forward.until(/RX:/)
  const stats = new Tool(['stats'], { env })
  await stats.until(/RX:/)
  expect((await stats.kill()).code).toBe(0)
  await forward.kill()
})
