import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { findTelemetry, serveTelemetry } from '../../src/engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo } from '../../src/engine/types.ts'

const INFO: DeviceInfo = {
  index: 0,
  device: 'virtual:gen',
  model: '82599',
  mac: '52:54:00:00:00:01',
  access: 'vfio-user',
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

describe('telemetry', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  test('a client gets the description once and the newest totals whenever it asks', async () => {
    let packets = 0
    const hello = { command: 'forward', version: '1.2.3', devices: [INFO] }
    const server = await serveTelemetry(directory, hello, () => [counters((packets += 10))])
    const [client] = await findTelemetry(directory)
    expect(client.hello).toEqual({ pid: process.pid, ...hello })
    expect((await client.sample())?.devices).toEqual([counters(10)])
    expect((await client.sample())?.devices).toEqual([counters(20)])
    client.close()
    server.close()
  })

  test('several clients each get their own answers', async () => {
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () => [
      counters(1),
    ])
    const clients = [...(await findTelemetry(directory)), ...(await findTelemetry(directory))]
    const samples = await Promise.all(clients.map((client) => client.sample()))
    expect(samples.map((sample) => sample?.devices)).toEqual([[counters(1)], [counters(1)]])
    for (const client of clients) client.close()
    server.close()
  })

  test('a closed server leaves no socket, and its clients learn of it', async () => {
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () => [])
    const [client] = await findTelemetry(directory)
    server.close()
    expect(await client.sample()).toBeNull()
    expect(readdirSync(directory)).toEqual([])
    expect(await findTelemetry(directory)).toEqual([])
  })

  test('what is known already is not connected to again', async () => {
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () => [])
    expect(await findTelemetry(directory, new Set([process.pid]))).toEqual([])
    server.close()
  })

  test('the socket of a killed process is removed, other files stay', async () => {
    const file = path.join(directory, '12345.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(file)}, () => console.log('up'))`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    writeFileSync(path.join(directory, 'lock'), '')
    expect(existsSync(file)).toBe(true)
    expect(await findTelemetry(directory)).toEqual([])
    expect(readdirSync(directory)).toEqual(['lock'])
  })

  test('a new server removes what killed processes have left, and nothing else', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    const dead = `${child.pid}.sock`
    const alive = `${process.ppid}.sock`
    for (const name of [dead, alive, 'lock', `${process.pid}.sock`])
      writeFileSync(path.join(directory, name), '')
    const server = await serveTelemetry(directory, { command: 'a', version: '', devices: [] }, () => [])
    expect(readdirSync(directory).sort()).toEqual(['lock', alive, `${process.pid}.sock`].sort())
    server.close()
  })

  test('a process that hangs is passed over after a second', async () => {
    const mute = createServer(() => undefined).listen(path.join(directory, '77.sock'))
    await once(mute, 'listening')
    expect(await findTelemetry(directory)).toEqual([])
    mute.close()
  })

  test('a directory that is not there is an empty one', async () => {
    expect(await findTelemetry(path.join(directory, 'none'))).toEqual([])
  })
})
