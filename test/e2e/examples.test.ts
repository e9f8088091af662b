/** docs/examples as users run them: from a folder outside of the repository. The router has a file of its own. */
import path from 'node:path'
import { CaptureFile } from '../../src/captures/files.ts'
import { arpRequest, type Ends, ping, udp } from '../examples/frames.ts'
import { pings } from '../pings.ts'
import { copyExample } from './example-files.ts'
import { Tool, describeIf, ixy, missing, objects, sh, temporaryDirectory, testIf } from './support.ts'

const folder = temporaryDirectory()

interface End {
  readonly reason: string
  readonly devices: Record<'rx' | 'tx', { packets: number }>[]
  readonly app: { readonly counters: Record<string, number>; readonly result: unknown }
}

test('reflect sends back what comes in', async () => {
  const file = copyExample('reflect', folder)
  const { code, stdout } = await ixy('run', file, 'virtual:gen,count=20000', '--json')
  const [{ reason, devices }] = objects(stdout, 'end') as unknown as End[]
  expect({ code, reason }).toEqual({ code: 0, reason: 'done' })
  expect([devices[0].rx.packets, devices[0].tx.packets]).toEqual([20_000, 20_000])
})

describe('sources', () => {
  const ends: Ends = {
    from: '10.0.0.9',
    to: '10.0.0.2',
    fromMac: '52:54:00:00:00:09',
    toMac: '52:54:00:00:00:02',
  }
  const file = copyExample('sources', folder)
  const capture = path.join(folder, 'in.pcap')

  testIf(missing({ programs: ['tshark'] }), 'counts as tshark does', async () => {
    const out = new CaptureFile(capture)
    for (let i = 0; i < 3000; i++) {
      out.write(udp({ ...ends, from: `10.${i % 7}.0.${(i * i) % 100}` }, i % 100))
      if (i % 10 === 0) out.write(arpRequest(ends))
    }
    out.close()
    const { code, stdout } = await ixy('run', file, `virtual:replay=${capture},rate=100kpps`, '--json')
    expect(code).toBe(0)
    const [{ app }] = objects(stdout, 'end') as unknown as End[]
    const seen = new Map<string, { packets: number; bytes: number }>()
    const lines = sh('tshark', '-r', capture, '-Y', 'ip', '-T', 'fields', '-e', 'ip.src', '-e', 'frame.len')
    for (const line of lines.trim().split('\n')) {
      const [source, length] = line.split('\t')
      const sums = seen.get(source) ?? { packets: 0, bytes: 0 }
      seen.set(source, { packets: sums.packets + 1, bytes: sums.bytes + Number(length) })
    }
    const result = app.result as { source: string; packets: number; bytes: number }[]
    expect(new Map(result.map(({ source, ...sums }) => [source, sums]))).toEqual(seen)
    expect(app.counters).toEqual({ ipv4: 3000, other: 300, too_many: 0 })
    expect(result.map(({ packets }) => packets)).toEqual(
      result.map(({ packets }) => packets).sort((x, y) => y - x),
    )
  })
})

test('responder answers what a capture asks', async () => {
  const file = copyExample('responder', folder)
  const ends: Ends = {
    from: '10.0.0.9',
    to: '10.0.0.2',
    fromMac: '52:54:00:00:00:09',
    toMac: '02:00:0a:00:00:02',
  }
  const questions = path.join(folder, 'questions.pcap')
  const out = new CaptureFile(questions)
  for (const frame of [arpRequest(ends), ping(ends), udp(ends), ping({ ...ends, to: '10.0.0.3' })])
    out.write(frame)
  out.close()
  const { code, stdout } = await ixy('run', file, `virtual:replay=${questions}`, '--json', '--', '10.0.0.2')
  const [{ app, devices }] = objects(stdout, 'end') as unknown as End[]
  expect(code).toBe(0)
  expect(app.counters).toEqual({ arp_replies: 1, echo_replies: 1, ignored: 2 })
  expect(devices[0].tx.packets).toBe(2)
})

describeIf(missing({ root: true, programs: ['ip', 'ping'] }), 'responder at a TAP', () => {
  const [netns, tap] = [`ixyp-${process.pid}`, `ixp${process.pid % 100_000}`]
  afterAll(() => void sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`))

  test('Linux finds it and gets an answer to each ping', async () => {
    const file = copyExample('responder', folder)
    const args = ['run', file, `virtual:tap=${tap}`, '--json', '-i', '0.1', '--mode', 'adaptive']
    const tool = new Tool([...args, '--', '10.77.0.2'])
    await tool.until(/"interval"/)
    sh('ip', 'netns', 'add', netns)
    sh('ip', 'link', 'set', tap, 'netns', netns)
    const inside = (...args: string[]): string => sh('ip', 'netns', 'exec', netns, ...args)
    inside('ip', 'addr', 'add', '10.77.0.1/24', 'dev', tap)
    inside('ip', 'link', 'set', tap, 'up')
    await pings(inside, '-c 30 -i 0.02 -s 1000', '10.77.0.2')
    expect(inside('ip', 'neigh', 'show', '10.77.0.2')).toContain('lladdr 02:00:0a:4d:00:02')
    const { code, stdout } = await tool.kill()
    expect(code).toBe(0)
    const [{ app }] = objects(stdout, 'end') as unknown as End[]
    expect(app.counters['echo_replies']).toBe(30)
  })
})
