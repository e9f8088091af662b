import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tool, objects } from './support.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-run-'))
const env = { IXY_TS_RUNTIME_DIR: directory }
/** Of a run that is there to be looked at: it sleeps when it can, and soon says that it is there. */
const WATCHED = ['--mode', 'interrupt', '-i', '0.1']
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('nothing to show: a line on stderr, exit 3', async () => {
  const { code, stdout, stderr } = await new Tool(['stats'], { env }).end()
  expect(code).toBe(3)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^ixy-ts: no .*ixy-ts.*\[IXY_ERR_NOTHING_TO_SHOW\]\n$/)
  // It doesn't claim that nothing runs: it says where it has looked, and how to look elsewhere.
  expect(stderr).toContain(`has a socket in ${directory};`)
  expect(stderr).toMatch(/sudo .*ixy-ts stats.*IXY_TS_RUNTIME_DIR=/)
})

test('follows a forward and a pktgen at once, in text and in JSON, and no dead one', async () => {
  const forward = new Tool(['forward', 'virtual:gen,rate=10kpps', 'virtual:sink', ...WATCHED], { env })
  const killed = new Tool(['forward', 'virtual:gen,rate=1kpps', 'virtual:record=/dev/null', ...WATCHED], {
    env,
  })
  await Promise.all([forward.until(/RX:/), killed.until(/TX:/)])
  await killed.kill('SIGKILL')
  // It polls.
  const pktgen = new Tool(['pktgen', 'virtual:sink', '--rate', '20kpps', '-i', '0.1'], { env })
  await pktgen.until(/TX:/)

  const [text, json] = await Promise.all([
    new Tool(['stats', '-i', '0.1', '--duration', '0.3'], { env }).end(),
    new Tool(['stats', '--json', '-i', '0.1', '--duration', '0.3', 'virtual:gen,rate=10kpps'], { env }).end(),
  ])
  expect(text.code).toBe(0)
  expect(text.stdout).toMatch(/\[virtual:gen,rate=10kpps\] RX: [\d.]+ Mbit\/s (0\.01 Mpps|[\d.]+ kpps)/)
  expect(text.stdout).toMatch(/\[virtual:sink\] TX: [\d.]+ Mbit\/s 0\.0\d Mpps/)
  expect(text.stdout).not.toContain('record')
  const summary = text.stdout.slice(text.stdout.indexOf('watched 3 devices'))
  expect(summary).toMatch(
    new RegExp(`\\[virtual:gen,rate=10kpps\\] \\(forward, pid ${forward.pid}\\)\n  RX `),
  )
  expect(summary).toMatch(new RegExp(`\\[virtual:sink\\] \\(pktgen, pid ${pktgen.pid}\\)\n  RX `))

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
  const forward = new Tool(['forward', 'virtual:gen,rate=1kpps', 'virtual:sink', ...WATCHED], { env })
  await forward.until(/RX:/)
  const stats = new Tool(['stats', '-i', '0.1'], { env })
  await stats.until(/RX:/)
  expect((await stats.kill()).code).toBe(0)
  await forward.kill()
})

test('a stopped process is shown as stopped, delays nobody, and is watched again when it goes on', async () => {
  const forward = new Tool(['forward', 'virtual:gen,rate=1kpps', 'virtual:sink', ...WATCHED], { env })
  await forward.until(/RX:/)
  forward.process.kill('SIGSTOP')
  const alone = await new Tool(['stats', '-i', '1'], { env }).end()
  expect(alone.code).toBe(3)
  expect(alone.stderr).toMatch(new RegExp(`pid ${forward.pid} .*is stopped; .*kill -CONT.*NOTHING_TO_SHOW`))
  const other = new Tool(['forward', 'virtual:gen,rate=2kpps', 'virtual:sink', ...WATCHED], { env })
  await other.until(/TX:/)
  const stats = new Tool(['stats', '--json', '-i', '0.2'], { env })
  await stats.until(/"event":"interval"/)
  expect(stats.stderr).toMatch(new RegExp(`pid ${forward.pid} .*is stopped: no counters`))
  expect(stats.stdout).not.toContain(`"pid":${forward.pid}`)
  forward.process.kill('SIGCONT')
  await stats.until(new RegExp(`"event":"interval".*"pid":${forward.pid}`))
  expect(stats.stderr).toMatch(new RegExp(`pid ${forward.pid} .*answers again`))
  forward.process.kill('SIGSTOP')
  await stats.until(new RegExp(`pid ${forward.pid} \\(forward\\) is stopped: no counters`), 'stderr')
  forward.process.kill('SIGCONT')
  expect((await stats.kill()).code).toBe(0)
  const end = objects(stats.stdout, 'end') as { devices: { pid: number }[] }[]
  expect(new Set(end[0].devices.map(({ pid }) => pid))).toEqual(new Set([forward.pid, other.pid]))
  for (const tool of [forward, other]) expect((await tool.kill()).code).toBe(0)
})

test('servers of the same name in two folders are two, with their own names and MAC addresses', async () => {
  const folders = ['a', 'b'].map((name) => path.join(directory, `folder-${name}`))
  const servers: Tool[] = []
  for (const folder of folders) {
    mkdirSync(folder)
    servers.push(new Tool(['vnic', 'nic.sock', '--wire', 'sink', '-i', '0.1'], { env, cwd: folder }))
  }
  // What it prints first comes when stats can see it.
  await Promise.all(servers.map((server) => server.until(/RX:/)))
  const names = folders.map((folder) => `vfio-user:${path.join(folder, 'nic.sock')}`)
  const find = async (...wanted: string[]): Promise<{ device: string; mac: string }[]> => {
    const { stdout } = await new Tool(['stats', ...wanted, '--json', '-d', '0.1'], {
      env,
      cwd: folders[1],
    }).end()
    const [start] = objects(stdout, 'start') as { devices: { device: string; mac: string }[] }[]
    return start.devices
  }
  const devices = await find()
  expect(devices.map(({ device }) => device).sort()).toEqual(names)
  expect(new Set(devices.map(({ mac }) => mac)).size).toBe(2)
  expect((await find('vfio-user:nic.sock')).map(({ device }) => device)).toEqual([names[1]])
  await servers[1].kill()

  // The same after a restart; chosen ones as chosen.
  const again = new Tool(['vnic', 'nic.sock', '--wire', 'sink', '-i', '0.1'], { env, cwd: folders[1] })
  await again.until(/RX:/)
  const macOf = (name: string): string | undefined => devices.find(({ device }) => device === name)?.mac
  expect((await find(names[1])).map(({ mac }) => mac)).toEqual([macOf(names[1])])
  await again.kill()
  const macs = ['52:54:00:00:00:0a', '52:54:00:00:00:0b']
  const pair = new Tool(['vnic', 'nic.sock', 'c.sock', '--mac', macs.join(), '-i', '0.1'], {
    env,
    cwd: folders[1],
  })
  await pair.until(/RX:/)
  expect((await find('vfio-user:nic.sock', 'vfio-user:c.sock')).map(({ mac }) => mac)).toEqual(macs)
  for (const server of [servers[0], pair]) expect((await server.kill()).code).toBe(0)
})

describe('--once', () => {
  let forward: Tool
  beforeAll(async () => {
    forward = new Tool(['forward', 'virtual:gen,rate=10kpps', 'virtual:sink', ...WATCHED], { env })
    await forward.until(/RX:/)
  })
  afterAll(async () => void (await forward.kill()))

  test.each([
    ['where stdout is no terminal', []],
    ['given', ['--once', '-i', '1']],
  ])('%s: what has been counted so far, and the end', async (_, flags) => {
    const { code, stdout } = await new Tool(['stats', ...flags], { env }).end()
    expect(stdout).toMatch(
      new RegExp(
        `^\\[virtual:gen,rate=10kpps\\] RX: [\\d,]+ packets, [\\d,]+ bytes \\(forward, pid ${forward.pid}\\)\\n` +
          `\\[virtual:gen,rate=10kpps\\] TX: 0 packets, 0 bytes\\n  dropped: 0\\n\\[virtual:sink\\] RX: 0 packets`,
      ),
    )
    expect(code).toBe(0)
  })

  test('in JSON, growing from one to the next', async () => {
    const packets: number[] = []
    for (let i = 0; i < 2; i++) {
      const { code, stdout } = await new Tool(['stats', '--once', '--json', 'virtual:sink'], { env }).end()
      expect(code).toBe(0)
      const [end, ...others] = objects(stdout)
      expect(others).toEqual([])
      expect(end).toMatchObject({
        event: 'end',
        reason: 'done',
        error: null,
        devices: [
          { device: 'virtual:sink', queue: null, pid: forward.pid, command: 'forward', rx: { packets: 0 } },
        ],
      })
      packets.push((end as { devices: { tx: { packets: number; bytes: number } }[] }).devices[0].tx.packets)
    }
    expect(packets[0]).toBeGreaterThan(0)
    expect(packets[1]).toBeGreaterThan(packets[0])
  })

  test('with nothing to show exits 3', async () => {
    expect((await new Tool(['stats', '--once', 'virtual:none'], { env }).end()).code).toBe(3)
  })
})
