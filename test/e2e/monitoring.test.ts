/** `stats --live`, `--listen` and `--dpdk-telemetry` beside real runs, judged by those who read such things. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { get } from 'node:http'
import path from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import type { MonitorState } from '../../src/cli/monitor/state.ts'
import { LAUNCHER, Tool, missing, objects, sh, temporaryDirectory, testIf } from './support.ts'

const directory = temporaryDirectory()
const env = { IXY_TS_RUNTIME_DIR: directory, RUNTIME_DIRECTORY: directory }

async function read(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve(body))
    }).on('error', reject)
  })
}

/** A capture of `count` frames of `size` bytes. */
function capture(count: number, size: number): Buffer {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(65_535, 16)
  header.writeUInt32LE(1, 20)
  const frame = Buffer.alloc(16 + size, 2)
  frame.writeUInt32LE(0)
  frame.writeUInt32LE(0, 4)
  frame.writeUInt32LE(size, 8)
  frame.writeUInt32LE(size, 12)
  return Buffer.concat([header, ...Array.from({ length: count }, () => frame)])
}

let runs: Tool[] = []
afterEach(() => {
  for (const tool of runs) tool.process.kill('SIGKILL')
  runs = []
})

testIf(
  missing({ programs: ['promtool', 'dpdk-telemetry.py', 'python3', 'jq'] }),
  'Prometheus, JSON and DPDK are told what was really sent',
  async () => {
    const fifo = path.join(directory, 'fifo')
    sh('mkfifo', fifo)
    // It stays open, so the run goes on after its 300 frames of 100 bytes.
    const source = openSync(fifo, 'r+')
    writeSync(source, capture(300, 100))
    const forward = new Tool(
      [
        'forward',
        `virtual:replay=${fifo},rate=max`,
        'virtual:sink',
        '-q',
        '2',
        '--mode',
        'interrupt',
        '-i',
        '0.1',
      ],
      { env },
    )
    const args = ['stats', '--listen', '0', '--dpdk-telemetry', 'test', '-i', '0.1']
    const stats = new Tool(args, { env })
    runs = [forward, stats]
    const [, url] = await stats.until(/listening on (http:\S+)"/, 'stderr')
    await forward.until(/TX:/)
    // It polls.
    const pktgen = new Tool(['pktgen', 'virtual:loop', '--latency', '--rate', '500pps', '-i', '0.1'], { env })
    runs.push(pktgen)
    await pktgen.until(/TX:/)

    const states = await new Promise<MonitorState>((resolve, reject) => {
      get(`${url}events`, { agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (more: string) => {
          text += more
          const events = text.split('\n\n')
          text = events.pop() ?? ''
          for (const event of events.filter((line) => line.startsWith('data: '))) {
            const state = JSON.parse(event.slice(6)) as MonitorState
            const [one, other] = ['forward', 'pktgen'].map((name) =>
              state.runs.find(({ command }) => command === name),
            )
            if (one?.devices[1].tx.packets !== 300 || (other?.latency?.interval ?? null) === null) continue
            // What the wires have counted comes up to a second later.
            if ((one.devices[1].wires[0]?.counters['arrived'] ?? 0) < 300) continue
            response.destroy()
            resolve(state)
          }
        })
      }).on('error', reject)
    })
    const run = states.runs.find(({ command }) => command === 'forward')
    expect(run?.devices[0].rx).toMatchObject({ packets: 300, bytes: 30_000 })
    expect(run?.devices[1].tx).toMatchObject({ packets: 300, bytes: 30_000 })
    expect(run?.devices[1].queues.map(({ tx }) => tx.packets).reduce((a, b) => a + b)).toBe(300)
    expect(run?.devices[1].wires[0].counters['arrived']).toBe(300)
    expect(run?.workers).toHaveLength(2)

    const metrics = await read(`${url}metrics`)
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' })
    expect([checked.status, checked.stdout, checked.stderr]).toEqual([0, '', ''])
    const labels = `{device="virtual:sink",index="1",pid="${forward.pid}",app="forward"}`
    expect(metrics).toContain(`ixy_transmit_packets_total${labels} 300\n`)
    expect(metrics).toContain(`ixy_transmit_bytes_total${labels} 30000\n`)
    expect(metrics).toMatch(/ixy_round_trip_seconds_count\{.*\} [1-9]/)
    expect((await pktgen.kill()).code).toBe(0)

    const ports = (await dpdk('/ethdev/list')) as { '/ethdev/list': number[] }
    const infos = []
    for (const port of ports['/ethdev/list']) infos.push(await dpdk(`/ethdev/info,${port}`))
    const port = infos.findIndex((info) => JSON.stringify(info).includes('"virtual:sink"'))
    const number = ports['/ethdev/list'][port]
    expect(await dpdk(`/ethdev/stats,${number}`)).toMatchObject({
      '/ethdev/stats': { opackets: 300, obytes: 30_000, imissed: 0 },
    })
    expect(await dpdk(`/ethdev/link_status,${number}`)).toMatchObject({
      '/ethdev/link_status': { status: 'UP', speed: 10_000 },
    })

    expect(await stats.kill()).toMatchObject({ code: 0, stdout: '' })
    closeSync(source)
    expect((await forward.kill()).code).toBe(0)
  },
  60_000,
)

/** What dpdk-telemetry.py prints for a command. */
async function dpdk(command: string): Promise<unknown> {
  const child = spawn('dpdk-telemetry.py', ['-f', 'test'], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  child.stdin.end(`${command}\n`)
  await once(child, 'close')
  return objects(text).find((object) => Object.hasOwn(object, command.replace(/,.*/, '')))
}

testIf(
  missing({ programs: ['script', 'stty'] }),
  'a screen on a terminal, that q ends and that leaves the terminal as it was; elsewhere totals again and again',
  async () => {
    const pktgen = new Tool(['pktgen', 'virtual:sink', '--rate', '2kpps', '-i', '0.1'], { env })
    runs = [pktgen]
    await pktgen.until(/TX:/)
    const command = `stty rows 20 cols 60; ${process.execPath} ${LAUNCHER} stats --live -i 0.1; echo "code $?"; stty -a`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...process.env, ...env, TERM: 'xterm', LANG: 'C.UTF-8', LC_ALL: '', NO_COLOR: '' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let screen = ''
    let quit = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text
      // A rate and a bar, so there were two answers.
      if (quit || !/virtual:sink.* \d\.\d+k .*█/.test(screen)) return
      quit = true
      child.stdin.write('ubq')
    })
    await once(child, 'close')
    expect(quit).toBe(true)
    const [drawn, after] = screen.split('\x1b[?25h\x1b[?1049l')
    expect(drawn).toContain('\x1b[?1049h')
    const lines = drawn.split(/\r+\n|\p{Cc}\[H/u).map((line) => stripVTControlCharacters(line))
    expect(lines.join('\n')).toMatch(/ixy-ts on .*: 1 run,/)
    expect(lines.join('\n')).toContain(`pktgen pid ${pktgen.pid},`)
    // Each fits.
    expect(lines.filter((line) => [...line].length > 60)).toEqual([])
    expect(after).toMatch(/code 0/)
    expect(after).toMatch(/ icanon .* echo /)

    const piped = new Tool(['stats', '--live', '-i', '0.1', '-d', '0.5'], { env })
    const { code, stdout } = await piped.end()
    expect(code).toBe(0)
    const totals = [...stdout.matchAll(/TX: ([\d,]+) packets/g)].map(([, text]) =>
      Number(text.replaceAll(',', '')),
    )
    expect(totals.length).toBeGreaterThanOrEqual(3)
    expect(totals[totals.length - 1]).toBeGreaterThan(totals[0])
    expect((await pktgen.kill()).code).toBe(0)
  },
  60_000,
)
