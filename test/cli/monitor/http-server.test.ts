import { once } from 'node:events'
import { type IncomingHttpHeaders, get, request } from 'node:http'
import { type Socket, connect } from 'node:net'
import { Collector } from '../../../src/cli/monitor/collector.ts'
import { MonitorServer } from '../../../src/cli/monitor/http-server.ts'
import { listenAddress } from '../../../src/cli/monitor/listen-address.ts'
import type { MonitorState } from '../../../src/cli/monitor/state.ts'
import { Runs, counters, info } from './runs.ts'

const DEVICE = info(0, 'virtual:gen')
let runs: Runs
let collector: Collector
let server: MonitorServer
let port: number
let stop: AbortController
let over: Promise<unknown>
let packets = 0
let questions = 0

beforeEach(async () => {
  runs = new Runs()
  await runs.start('forward', [DEVICE], () => {
    questions++
    return { time: performance.now() / 1000, devices: [counters(DEVICE, (packets += 100))] }
  })
  stop = new AbortController()
  const options = {
    directory: runs.directory,
    devices: [],
    interval: 0.05,
    duration: null,
    stop: stop.signal,
  }
  collector = new Collector(options)
  server = await MonitorServer.listen(listenAddress('0'), collector, null)
  port = Number(new URL(server.url).port)
  const found = new Promise((resolve) => collector.subscribe(resolve))
  over = collector.run()
  await found
})
afterEach(async () => {
  server.close()
  stop.abort()
  await over
  runs.close()
})

interface Reply {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers, method, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    asked.on('error', reject).end()
  })
}

test('metrics, JSON and a list of what there is', async () => {
  const metrics = await ask('/metrics')
  expect(metrics.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(metrics.body).toMatch(/^ixy_receive_packets_total\{device="virtual:gen",.*\} \d+00$/m)
  const open = await ask('/metrics', { Accept: 'application/openmetrics-text; version=1.0.0' })
  expect(open.headers['content-type']).toMatch(/^application\/openmetrics-text; version=1\.0\.0/)
  const json = await ask('/stats.json?x')
  expect(json.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' })
  expect(JSON.parse(json.body)).toMatchObject({
    runs: [{ command: 'forward', history: expect.any(Array) as unknown }],
  })
  expect((await ask('/')).body).toContain('/metrics')
  const head = await ask('/stats.json', {}, 'HEAD')
  expect([head.status, head.body, Number(head.headers['content-length']) > 100]).toEqual([200, '', true])
})

test('what it refuses, it names', async () => {
  expect(await ask('/etc/passwd')).toMatchObject({
    status: 404,
    body: expect.stringContaining('/metrics') as unknown,
  })
  expect(await ask('/metrics', {}, 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  expect((await ask('/stats.json', { Host: `evil.example:${port}` })).status).toBe(403)
  for (const host of ['localhost', '127.0.0.1', `[::1]:${port}`])
    expect((await ask('/metrics', { Host: host })).status).toBe(200)
  expect((await ask('/metrics', { 'X-Long': 'x'.repeat(10_000) })).status).toBe(431)
})

test('events follow at the interval, and begin at once', async () => {
  const states = await new Promise<MonitorState[]>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/events', agent: false }, (response) => {
      expect(response.headers['content-type']).toBe('text/event-stream')
      let text = ''
      response.setEncoding('utf8').on('data', (more: string) => {
        text += more
        const events = text.split('\n\n').slice(0, -1)
        if (events.length < 4) return
        response.destroy()
        expect(events[0]).toBe('retry: 2000')
        resolve(events.slice(1).map((event) => JSON.parse(event.replace(/^data: /, '')) as MonitorState))
      })
    }).on('error', reject)
  })
  const counted = states.map((state) => state.runs[0].devices[0].rx.packets)
  expect(counted[1]).toBeGreaterThan(counted[0])
  expect(counted[2]).toBeGreaterThan(counted[1])
  expect(states[2].runs[0].history).toBeUndefined()
})

function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.on('close', resolve))
}

/** Connections that were closed, or are still open; none of them reads. */
function connections(count: number, first: string): Socket[] {
  return Array.from({ length: count }, () => {
    const socket = connect(port, '127.0.0.1', () => socket.write(first))
    socket.on('error', () => undefined)
    return socket
  })
}

test('many clients that ask at once cost a run no question, and are all answered', async () => {
  const before = questions
  const from = performance.now()
  const replies = await Promise.all(Array.from({ length: 100 }, () => ask('/metrics')))
  expect(replies.every(({ status }) => status === 200)).toBe(true)
  const intervals = (performance.now() - from) / 50
  expect(questions - before).toBeLessThan(intervals + 3)
})

test('of 1000 connections that never finish their request most are closed at once, the others soon, and there is room again', async () => {
  const slow = connections(1000, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  // So that each sees its end.
  for (const socket of slow) socket.resume()
  const from = performance.now()
  const times = await Promise.all(slow.map((socket) => closed(socket).then(() => performance.now() - from)))
  times.sort((a, b) => a - b)
  // The 128 that were let in have five seconds each.
  expect(times[871]).toBeLessThan(times[872])
  expect(times[872]).toBeGreaterThan(4_000)
  expect(times[999]).toBeLessThan(15_000)
  expect((await ask('/metrics')).status).toBe(200)
}, 30_000)

test('a follower that does not read is let go, and no more than 64 follow', async () => {
  const events = 'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const followers = connections(64, events)
  await Promise.all(followers.map((socket) => once(socket, 'data')))
  expect((await ask('/events')).status).toBe(503)
  const [mute, ...others] = followers
  for (const socket of others) socket.destroy()
  mute.pause()
  // Until the system's buffers and ours are full.
  const long = { ...collector.state, host: 'x'.repeat(1 << 20) }
  const tell = server as unknown as { tell(state: MonitorState): void }
  const end = closed(mute)
  for (let i = 0; i < 32; i++) tell.tell(long)
  mute.resume()
  await end
  expect(mute.bytesRead).toBeLessThan(16 << 20)
  expect((await ask('/metrics')).status).toBe(200)
})

test.each([
  ['9100', '127.0.0.1', 9100],
  [':9100', '127.0.0.1', 9100],
  ['0.0.0.0:0', '0.0.0.0', 0],
  ['[::1]:9100', '::1', 9100],
  ['localhost:80', 'localhost', 80],
])('%s is %s, port %i', (text, host, number) => {
  expect(listenAddress(text)).toEqual({ host, port: number, text })
})

test.each(['', 'x', '1.2.3:80', '::1:80', '[::1]', '70000', '127.0.0.1:', '[1.2.3.4]:80', 'http://x:80'])(
  '%s is no address',
  (text) => {
    expect(() => listenAddress(text)).toThrow(/--listen .* is not valid; give a port/)
  },
)

test('a port that is taken is told as such', async () => {
  await expect(MonitorServer.listen(listenAddress(String(port)), collector, null)).rejects.toThrow(
    /the port is taken; choose another/,
  )
})
