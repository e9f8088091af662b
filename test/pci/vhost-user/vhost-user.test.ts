/** Our side of vhost-user against a back end in another process. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { attach } from '../../../src/driver/queue-registry.ts'
import { Session } from '../../../src/engine/session.ts'
import { type OpenDevices, open } from '../../../src/library/open.ts'
import { drainEventFd } from '../../../src/linux/file.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { Request } from '../../../src/pci/vhost-user/protocol.ts'
import { VhostUserTransport } from '../../../src/pci/vhost-user/transport.ts'
import { bundle } from '../vfio-user/bundle.ts'
import type { Behaviour, Event } from './echo-backend.ts'

let script: string
let directory: string
let socket: string
let backend: ChildProcess
let events: Event[]

beforeAll(() => {
  script = bundle('echo-backend.ts', __dirname)
})
afterAll(() => rmSync(dirname(script), { recursive: true }))
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ixy-vhost-'))
  socket = join(directory, 'vhost.sock')
})
afterEach(async () => {
  if (backend.exitCode === null && backend.signalCode === null) {
    const exited = once(backend, 'exit')
    if (backend.connected) backend.disconnect()
    else backend.kill()
    await exited
  }
  rmSync(directory, { recursive: true })
})

async function start(behaviour: Behaviour = {}): Promise<void> {
  events = []
  backend = fork(script, [socket, JSON.stringify(behaviour)])
  const listening = once(backend, 'message')
  backend.on('message', (event) => events.push(event as Event))
  await listening
}

const requests = (): number[] => events.flatMap((event) => ('request' in event ? [event.request] : []))

/** What the back end says when its front end has gone. */
async function verdict(): Promise<Extract<Event, { kicks: number }>> {
  for (;;) {
    const found = events.find((event) => 'breaches' in event)
    if (found !== undefined) return found
    await once(backend, 'message')
  }
}

/** Sends `count` frames that differ; resolves with those that come back. */
async function roundTrip(
  { ports: [port], memory, pools: [pool] }: OpenDevices,
  count: number,
): Promise<string[]> {
  const batch = memory.batch(32)
  const returned: string[] = []
  const deadline = performance.now() + 10_000
  for (let sent = 0; returned.length < count;) {
    if (performance.now() > deadline) throw new Error(`${returned.length} of ${count} frames came back`)
    const ready = memory.allocate(pool, batch, Math.min(32, count - sent, port.tx.room()))
    for (let i = 0; i < ready; i++) {
      const id = batch[i]
      memory.size[id] = 60 + ((sent + i) % 1400)
      const at = memory.dataOffset(id)
      memory.u8.fill((sent + i) & 0xff, at, at + memory.size[id])
    }
    const accepted = port.tx.transmit(batch, 0, ready)
    expect(accepted).toBe(ready)
    sent += accepted
    const received = port.rx.receive(batch, 32)
    for (let i = 0; i < received; i++) {
      const at = memory.dataOffset(batch[i])
      const bytes = memory.u8.subarray(at, at + memory.size[batch[i]])
      returned.push(bytes.every((byte) => byte === bytes[0]) ? `${bytes.length} of ${bytes[0]}` : 'damaged')
    }
    memory.free(batch, 0, received)
    await new Promise(setImmediate)
  }
  return returned
}

test.each(['wasm', 'ts'] as const)('frames go there and come back, %s', async (backendName) => {
  await start()
  const device = `vhost-user:${socket}`
  const opened = await open({ devices: [device], pools: 1, backend: backendName })
  expect(opened.devices[0]).toMatchObject({
    device,
    model: 'virtio-net',
    access: 'vhost-user',
    linkUp: true,
    linkMbit: 0,
  })
  const frames = await roundTrip(opened, 2000)
  expect(frames).toEqual(Array.from({ length: 2000 }, (_, i) => `${60 + (i % 1400)} of ${i & 0xff}`))
  const { rxPackets, txPackets, rxBytes, txBytes } = opened.statistics(0)
  expect([rxPackets, txPackets, rxBytes]).toEqual([2000, 2000, txBytes])
  await opened.close()
  const { breaches, kicks } = await verdict()
  expect(breaches).toEqual([])
  expect(kicks).toBeGreaterThan(0)
  const order = requests()
  // Memory before queues, and at the end each queue is taken back.
  expect(order.indexOf(Request.SET_MEM_TABLE)).toBeLessThan(order.indexOf(Request.SET_VRING_ADDR))
  expect(order.slice(-2)).toEqual([Request.GET_VRING_BASE, Request.GET_VRING_BASE])
  expect(order.filter((request) => request === Request.SET_VRING_ENABLE).length).toBe(2)
})

test('a back end of before protocol features, without merging and event index', async () => {
  await start({ features: String(2 ** 32) })
  const opened = await open({ devices: [`vhost-user:${socket}`], pools: 1 }).catch((error: unknown) => error)
  // Its queues need not be enabled: this one has no way to begin, but nothing that it doesn't know is said.
  await (opened as OpenDevices).close()
  const { breaches } = await verdict()
  expect(breaches).toEqual([])
  expect(requests()).not.toContain(Request.SET_VRING_ENABLE)
  expect(requests()).not.toContain(Request.GET_PROTOCOL_FEATURES)
})

test('the next front end finds it as the first did', async () => {
  await start()
  for (let i = 0; i < 2; i++) {
    const opened = await open({ devices: [`vhost-user:${socket}`], pools: 1 })
    expect((await roundTrip(opened, 40)).length).toBe(40)
    await opened.close()
    await verdict()
    events = []
  }
})

test('received packets interrupt, and a back end that dies is told of', async () => {
  await start()
  const session = await Session.open({ devices: [`vhost-user:${socket}`], mode: 'interrupt', extraPools: 1 })
  try {
    const [{ ports, memory: spec }] = session.queueSets
    const memory = new PacketMemory(spec)
    const pair = attach(ports[0], memory, 0)
    pair.start()
    session.devices[0].start()
    const interrupt = ports[0].interrupt ?? -1
    expect(drainEventFd(interrupt)).toBe(false)
    const batch = memory.batch(1)
    memory.allocate(1, batch, 1)
    memory.size[batch[0]] = 60
    expect(pair.tx.transmit(batch, 0, 1)).toBe(1)
    const deadline = performance.now() + 10_000
    while (!drainEventFd(interrupt) && performance.now() < deadline) await new Promise(setImmediate)
    expect(pair.rx.receive(batch, 1)).toBe(1)
    session.assertAlive()
    const exited = once(backend, 'exit')
    backend.kill('SIGKILL')
    await exited
    expect(() => session.assertAlive()).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE' }))
  } finally {
    await session.close()
  }
})

describe('what is not as it should be', () => {
  const failure = async (device = `vhost-user:${socket}`): Promise<unknown> => {
    try {
      const opened = await open({ devices: [device], pools: 1 })
      await opened.close()
      return null
    } catch (error) {
      return error
    }
  }

  test('nobody listens', async () => {
    await start()
    expect(await failure(`vhost-user:${socket}.not`)).toMatchObject({
      code: 'IXY_ERR_DEVICE_NOT_FOUND',
      message: expect.stringMatching(
        /no vhost-user back end listens at .*; start one, such as dpdk-testpmd --vdev/,
      ),
    })
  })

  test('two queue pairs are wanted', async () => {
    await start()
    await expect(Session.open({ devices: [`vhost-user:${socket}`], queues: 2 })).rejects.toMatchObject({
      message: expect.stringMatching(/has 1 queue pair; use --queues 1/),
    })
  })

  test.each([
    ['refuses the memory', { refuse: Request.SET_MEM_TABLE }, 'IXY_ERR_PROTOCOL', /can't do SET_MEM_TABLE/],
    [
      'answers something else',
      { garble: Request.GET_FEATURES },
      'IXY_ERR_PROTOCOL',
      /GET_FEATURES was answered with message 77/,
    ],
    ['hangs up', { hangUp: Request.SET_VRING_ADDR }, 'IXY_ERR_DEVICE_GONE', /has closed the connection/],
  ])('a back end that %s', async (_, behaviour, code, message) => {
    await start(behaviour)
    expect(await failure()).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('a back end that says nothing', async () => {
    await start({ ignore: Request.GET_FEATURES })
    expect(() => new VhostUserTransport(socket, 'a card', 100)).toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_DEVICE_GONE',
        message: expect.stringMatching(/didn't answer GET_FEATURES within 0.1 s/),
      }),
    )
  })
})
