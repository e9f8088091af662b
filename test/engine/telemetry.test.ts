import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { type Socket, connect, createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { findTelemetry, offerTelemetry, serveTelemetry } from '../../src/engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo } from '../../src/engine/types.ts'

const INFO: DeviceInfo = {
  index: 0,
  device: 'virtual:gen',
  model: '82599',
  mac: '52:54:00:00:00:01',
  access: 'vfio-user',
  linkUp: true,
  linkMbit: 10_000,
}

function counters(packets: number): DeviceCounters {
  return {
    index: 0,
    device: 'virtual:gen',
    queue: null,
    rx: { packets, bytes: packets * 60 },
    tx: { packets, bytes: packets * 60 },
    dropped: {},
  }
}

const sampleOf = (devices: readonly DeviceCounters[]) => ({ time: performance.now() / 1000, devices })

describe('telemetry', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  test('a client gets the description once and the newest totals whenever it asks', async () => {
    let packets = 0
    const hello = { command: 'forward', version: '1.2.3', devices: [INFO] }
    const server = await serveTelemetry(directory, hello, () => sampleOf([counters((packets += 10))]))
    const [client] = await findTelemetry(directory)
    expect(client.hello).toEqual({ pid: process.pid, startedAt: expect.any(String) as unknown, ...hello })
    expect((await client.sample())?.devices).toEqual([counters(10)])
    expect((await client.sample())?.devices).toEqual([counters(20)])
    client.close()
    server.close()
  })

  test.each(['HTTP/1.1 400', '{}', '[]', '5', '{"pid":1,"devices":5}', '{"pid":1,"devices":[null]}'])(
    'a stranger that says %s has not introduced itself',
    async (line) => {
      const stranger = createServer((client) => client.write(`${line}\n`)).listen(
        path.join(directory, '1-00.sock'),
      )
      await once(stranger, 'listening')
      for (const client of await findTelemetry(directory)) {
        expect(client.hello).toBeNull()
        client.close()
      }
      stranger.close()
    },
  )

  test('several clients each get their own answers', async () => {
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () =>
      sampleOf([counters(1)]),
    )
    const clients = [...(await findTelemetry(directory)), ...(await findTelemetry(directory))]
    const samples = await Promise.all(clients.map((client) => client.sample()))
    expect(samples.map((sample) => sample?.devices)).toEqual([[counters(1)], [counters(1)]])
    for (const client of clients) client.close()
    server.close()
  })

  test('a closed server leaves no socket, and its clients learn of it', async () => {
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () =>
      sampleOf([]),
    )
    const [client] = await findTelemetry(directory)
    server.close()
    expect(await client.sample()).toBeNull()
    expect(readdirSync(directory)).toEqual([])
    expect(await findTelemetry(directory)).toEqual([])
  })

  test('a client that asks without reading is disconnected, and one whose question fails', async () => {
    const much = 'x'.repeat(1 << 20)
    let broken = false
    const server = await serveTelemetry(directory, { command: much, version: '', devices: [] }, () => {
      if (broken) throw new Error('a device has gone')
      return sampleOf([{ ...counters(1), device: much }])
    })
    const [file] = readdirSync(directory)
    const greedy = connect(path.join(directory, file))
    greedy.on('error', () => undefined)
    greedy.pause()
    const closed = once(greedy, 'close')
    greedy.write('\n'.repeat(1000))
    greedy.resume()
    await closed
    expect(greedy.bytesRead).toBeLessThan(16 << 20)
    const [client] = await findTelemetry(directory)
    broken = true
    expect(await client.sample()).toBeNull()
    server.close()
  })

  test('what is known already is not connected to again', async () => {
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () =>
      sampleOf([]),
    )
    const [client] = await findTelemetry(directory)
    expect(await findTelemetry(directory, new Set([client.file]))).toEqual([])
    client.close()
    server.close()
  })

  /** The socket of a process that was killed. */
  async function leaveSocket(name: string): Promise<string> {
    const file = path.join(directory, name)
    const script = `require('net').createServer().listen(${JSON.stringify(file)}, () => console.log('up'))`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    return file
  }

  /** Looks again and again until `file` is gone: one that is too young may belong to a process that is starting. */
  async function untilRemoved(file: string, look: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + 10_000
    while (existsSync(file) && performance.now() < deadline) await look()
    expect(existsSync(file)).toBe(false)
  }

  test('the socket of a killed process is removed, other files stay', async () => {
    const file = await leaveSocket('12345-0a0b0c0d.sock')
    writeFileSync(path.join(directory, 'lock'), '')
    await untilRemoved(file, async () => expect(await findTelemetry(directory)).toEqual([]))
    expect(readdirSync(directory)).toEqual(['lock'])
  })

  test('a new server removes what killed processes have left, whatever their pid means here', async () => {
    // A process of another pid namespace: its pid is nobody's here, or somebody else's, or ours.
    const alive = ['999999999', String(process.pid)].map((pid) => path.join(directory, `${pid}-ffff.sock`))
    const servers = alive.map((file) => createServer(() => undefined).listen(file))
    await Promise.all(servers.map((server) => once(server, 'listening')))
    const dead = await leaveSocket(`${process.ppid}-01234567.sock`)
    await untilRemoved(dead, async () => {
      const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () =>
        sampleOf([]),
      )
      server.close()
    })
    for (const file of alive) expect(existsSync(file)).toBe(true)
    for (const server of servers) server.close()
  })

  test('a process that hangs is waited for once, and heard when it goes on', async () => {
    const clients: Socket[] = []
    const file = path.join(directory, '999999999-77.sock')
    const mute = createServer((client) => clients.push(client)).listen(file)
    await once(mute, 'listening')
    const [client] = await findTelemetry(directory)
    expect(client).toMatchObject({ hello: null, silence: 'hangs', ended: false })
    const begin = performance.now()
    await client.greet()
    expect(performance.now() - begin).toBeLessThan(500)
    clients[0].write(`${JSON.stringify({ pid: 77, command: 'forward', version: '', devices: [] })}\n`)
    while (client.hello === null) await client.greet()
    expect(client).toMatchObject({ hello: { pid: 77 }, silence: null })
    expect(await client.sample()).toBeNull()
    expect(client.silence).toBe('hangs')
    clients[0].write(`${JSON.stringify({ time: 1, devices: [] })}\n`)
    let sample = null
    while (sample === null) sample = await client.sample()
    expect(sample).toEqual({ time: 1, devices: [] })
    client.close()
    for (const one of clients) one.destroy()
    mute.close()
  })

  test('a stopped process is shown as stopped, at once', async () => {
    const file = path.join(directory, 'x.sock')
    const script = `const file = ${JSON.stringify(directory)} + '/' + process.pid + '-0.sock'
      require('net').createServer(() => undefined).listen(file, () => console.log('up'))`
    const child = spawn(process.execPath, ['-e', script, file], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGSTOP')
    let [client] = await findTelemetry(directory)
    // The signal takes its time.
    while (client.silence !== 'stopped') [client] = await findTelemetry(directory)
    const begin = performance.now()
    ;[client] = await findTelemetry(directory)
    expect(performance.now() - begin).toBeLessThan(500)
    expect(client).toMatchObject({ hello: null, silence: 'stopped', pid: child.pid })
    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  test('a run goes on without, and says why', async () => {
    const previous = process.env['IXY_TS_RUNTIME_DIR']
    process.env['IXY_TS_RUNTIME_DIR'] = '/proc/x'
    try {
      const warnings: string[] = []
      const hello = { command: 'forward', version: '', devices: [] }
      const server = await offerTelemetry(
        hello,
        () => sampleOf([]),
        (message) => warnings.push(message),
      )
      server.close()
      expect(warnings).toEqual([
        expect.stringMatching(/^ixy-ts stats can't show this run: .*\/proc\/x can't be created/),
      ])
    } finally {
      process.env['IXY_TS_RUNTIME_DIR'] = previous
      if (previous === undefined) delete process.env['IXY_TS_RUNTIME_DIR']
    }
  })

  test('a directory that is not there is an empty one', async () => {
    expect(await findTelemetry(path.join(directory, 'none'))).toEqual([])
  })
})
