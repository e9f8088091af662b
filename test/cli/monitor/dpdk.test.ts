import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Collector } from '../../../src/cli/monitor/collector.ts'
import { DpdkCommands, MOST_OUTPUT } from '../../../src/cli/monitor/dpdk-commands.ts'
import { DpdkServer, filePrefix } from '../../../src/cli/monitor/dpdk-server.ts'
import type { DeviceState, MonitorState, RunState } from '../../../src/cli/monitor/state.ts'
import { UnixSocket } from '../../../src/linux/unix-socket.ts'

const traffic = (packets: number) => ({
  ...{ packets, bytes: packets * 60, packetsPerSecond: null, bitsPerSecond: null },
  ...{ peakPacketsPerSecond: null, peakBitsPerSecond: null },
})

function device(index: number, queues: number): DeviceState {
  return {
    ...{ device: `d${index}`, index, label: `d${index}`, model: '82599', mac: '52:54:00:00:00:01' },
    ...{ access: 'vfio', linkUp: index === 0, linkMbit: index === 0 ? 10_000 : 0 },
    rx: traffic(100),
    tx: traffic(50),
    dropped: {
      missed: 1,
      no_descriptor: 2,
      pool_empty: 4,
      crc: 8,
      jabber: 16,
      tx_refused: 32,
      filtered_out: 64,
    },
    droppedPerSecond: {},
    queues: Array.from({ length: queues === 1 ? 0 : queues }, (_, queue) => ({
      ...{ queue, rx: traffic(queue + 1), tx: traffic(0), dropped: {}, droppedPerSecond: {} },
    })),
    ...{ wires: [], breaches: [] },
  }
}

function run(id: string, devices: readonly DeviceState[]): RunState {
  return {
    ...{ id, pid: 1, command: 'forward', version: '1', startedAt: null, state: 'running', seconds: 1 },
    ...{ devices, workers: [], app: null, latency: null },
  }
}

const state = (...runs: RunState[]): MonitorState => ({ time: '', version: '', host: '', interval: 1, runs })
const TWO = state(run('a', [device(0, 1), device(1, 2)]))

function asked(commands: DpdkCommands, all: MonitorState, request: string): unknown {
  const answer = JSON.parse(commands.answer(all, request)) as Record<string, unknown>
  const [name] = request.split(',')
  expect(Object.keys(answer)).toEqual([name])
  return answer[name]
}

test('counters under the names of rte_eth_stats, each drop in one of them', () => {
  const commands = new DpdkCommands()
  expect(asked(commands, TWO, '/ethdev/list')).toEqual([0, 1])
  const zeros = Array.from({ length: 15 }, () => 0)
  expect(asked(commands, TWO, '/ethdev/stats,0')).toMatchObject({
    ...{ ipackets: 100, opackets: 50, ibytes: 6000, obytes: 3000 },
    ...{ imissed: 3, rx_nombuf: 4, ierrors: 24, oerrors: 32 },
    // The one queue there is has had all of it.
    ...{ q_ipackets: [100, ...zeros], q_obytes: [3000, ...zeros], q_errors: [4, ...zeros] },
  })
  expect(asked(commands, TWO, '/ethdev/stats,1')).toMatchObject({ q_ipackets: [1, 2, ...zeros.slice(1)] })
  expect(asked(commands, TWO, '/ethdev/xstats,1')).toMatchObject({
    ...{ rx_good_packets: 100, rx_missed_errors: 3, rx_q1_bytes: 120, dropped_filtered_out: 64 },
  })
})

test('links, devices, help', () => {
  const commands = new DpdkCommands()
  expect(asked(commands, TWO, '/ethdev/link_status,0')).toEqual({
    ...{ status: 'UP', speed: 10_000, duplex: 'full-duplex' },
  })
  expect(asked(commands, TWO, '/ethdev/link_status,1')).toEqual({ status: 'DOWN' })
  expect(asked(commands, TWO, '/ethdev/info,1')).toMatchObject({ name: 'd1', nb_rx_queues: 2, port_id: 1 })
  expect(asked(commands, TWO, '/')).toContain('/ethdev/xstats')
  expect(asked(commands, TWO, '/help,/')).toEqual({ '/': 'All commands' })
})

test.each([
  '/nonsense',
  '/ethdev/stats',
  '/ethdev/stats,2',
  '/ethdev/stats,-1',
  '/ethdev/stats,0,1',
  '/help,x',
  '',
  '__proto__',
  'a"\n',
])('%j has no answer: null', (request) => {
  expect(asked(new DpdkCommands(), TWO, request)).toBeNull()
})

test('a port keeps its number while its run lives, and none gets that of another', () => {
  const commands = new DpdkCommands()
  const [a, b, c] = ['a', 'b', 'c'].map((id) => run(id, [device(0, 1)]))
  expect(asked(commands, state(a, b), '/ethdev/list')).toEqual([0, 1])
  expect(asked(commands, state(b, c), '/ethdev/list')).toEqual([1, 2])
  expect(asked(commands, state(a, b, c), '/ethdev/list')).toEqual([3, 1, 2])
})

test('what clients have no room for is null, not cut', () => {
  const many = device(0, 1000)
  const answer = new DpdkCommands().answer(state(run('a', [many])), '/ethdev/xstats,0')
  expect(answer).toBe('{"/ethdev/xstats":null}')
  expect(answer.length).toBeLessThan(MOST_OUTPUT)
})

test('names that are no folder', () => {
  expect(filePrefix('rte')).toBe('rte')
  for (const text of ['', '..', 'a/b', '.x', 'virtual:gen'])
    expect(() => filePrefix(text)).toThrow(/prefix|valid/)
})

describe('the socket', () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  const before = process.env['RUNTIME_DIRECTORY']
  let server: DpdkServer
  beforeEach(() => {
    process.env['RUNTIME_DIRECTORY'] = root
    const stop = new AbortController().signal
    server = new DpdkServer(
      new Collector({ directory: root, devices: [], interval: 1, duration: null, stop }),
      'x',
    )
  })
  afterEach(() => server.close())
  afterAll(() => {
    if (before === undefined) delete process.env['RUNTIME_DIRECTORY']
    else process.env['RUNTIME_DIRECTORY'] = before
    rmSync(root, { recursive: true })
  })

  /** The next message; null at the end of the connection. */
  async function next(client: UnixSocket): Promise<string | null> {
    const target = new Uint8Array(MOST_OUTPUT)
    const deadline = performance.now() + 5000
    while (performance.now() < deadline) {
      const received = client.receive(target)
      if (received !== null)
        return received.bytes === 0 ? null : Buffer.from(target.subarray(0, received.bytes)).toString()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error('no answer')
  }
  const connect = (): UnixSocket => UnixSocket.connect(server.path, 1000, 'seqpacket')

  test('says who it is, then answers one message for one', async () => {
    const client = connect()
    expect(JSON.parse((await next(client)) ?? '')).toMatchObject({
      pid: process.pid,
      max_output_len: MOST_OUTPUT,
    })
    for (const request of ['/ethdev/list', '/x\0', 'y'.repeat(5000)]) client.sendSome(Buffer.from(request))
    expect(await next(client)).toBe('{"/ethdev/list":[]}')
    expect(await next(client)).toBe('{"/x":null}')
    expect(await next(client)).toBe(`{"${'y'.repeat(1024)}":null}`)
    client.close()
  })

  test('the seventeenth client, and one that does not read, are let go', async () => {
    const clients = Array.from({ length: 16 }, connect)
    for (const client of clients) await next(client)
    const late = connect()
    while ((await next(late)) !== null);
    const [greedy, ...others] = clients
    let gone = false
    while (!gone) {
      try {
        if (greedy.sendSome(Buffer.from('/')) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      } catch {
        gone = true
      }
    }
    others[0].sendSome(Buffer.from('/help,/'))
    expect(await next(others[0])).toContain('All commands')
    for (const client of [...clients, late]) client.close()
  })

  test('another one with the same name is refused, and the socket goes with its server', () => {
    const stop = new AbortController().signal
    const collector = new Collector({ directory: root, devices: [], interval: 1, duration: null, stop })
    expect(() => new DpdkServer(collector, 'x')).toThrow(/another server listens at/)
    server.close()
    expect(existsSync(server.path)).toBe(false)
  })
})
