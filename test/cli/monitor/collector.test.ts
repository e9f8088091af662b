import { Collector } from '../../../src/cli/monitor/collector.ts'
import { intervalLatency } from '../../../src/cli/monitor/latency.ts'
import type { MonitorState } from '../../../src/cli/monitor/state.ts'
import type { Sample } from '../../../src/engine/types.ts'
import { Runs, counters, info } from './runs.ts'

let runs: Runs
beforeEach(() => (runs = new Runs()))
afterEach(() => runs.close())

const [A, B] = [info(0, 'virtual:gen'), info(1, 'virtual:gen')]

/** What `look` makes of the states, one after the other, until it says that it is over. */
async function collect(
  look: (state: MonitorState, collector: Collector) => boolean,
  devices: readonly string[] = [],
): Promise<void> {
  const stop = new AbortController()
  const options = {
    directory: runs.directory,
    devices,
    interval: 0.02,
    duration: 10,
    stop: stop.signal,
  }
  const collector = new Collector(options)
  let failure: unknown = null
  collector.subscribe((state) => {
    try {
      if (look(state, collector)) stop.abort()
    } catch (error) {
      failure = error
      stop.abort()
    }
  })
  expect(await collector.run()).toBe('signal')
  if (failure !== null) throw failure as Error
}

/** A second and 1000 packets more each time. */
function steady(): () => Sample {
  let second = 100
  return () => {
    second++
    const packets = second * 1000
    return {
      time: second,
      devices: [
        counters(A, packets),
        counters(A, packets / 2, 0),
        counters(A, packets / 2, 1),
        counters(B, 7),
      ],
      app: { name: 'mine', counters: { seen: second * 5 } },
      links: [
        { index: 0, up: true, mbit: 1000 },
        { index: 1, up: false, mbit: 0 },
      ],
      workers: [{ worker: 0, polls: second * 100, useful: second * 25 }],
    }
  }
}

test('totals at once, rates and peaks from the second answer on, and the past', async () => {
  await runs.start('mine', [A, B], steady())
  const states: MonitorState[] = []
  await collect((state, collector) => {
    states.push(state)
    if (states.length < 4) return false
    const [{ history }] = collector.stateWithHistory.runs
    expect(history).toHaveLength(3)
    expect(history?.[2].devices.map((device) => device.rxPacketsPerSecond)).toEqual([1000, 0])
    expect(history?.[2].devices[0].queues.map((queue) => queue.txPacketsPerSecond)).toEqual([500, 500])
    expect(history?.[2].devices[0].droppedPerSecond).toBe(101)
    return true
  })
  const [first, , , last] = states
  expect(first.runs[0]).toMatchObject({
    seconds: null,
    devices: [{ rx: { packets: 101_000, packetsPerSecond: null } }, {}],
  })
  const [run] = last.runs
  expect(run).toMatchObject({
    pid: process.pid,
    command: 'mine',
    version: '1.2.3',
    state: 'running',
    seconds: 1,
  })
  expect(run.devices.map(({ label, linkUp, linkMbit }) => ({ label, linkUp, linkMbit }))).toEqual([
    { label: 'virtual:gen #0', linkUp: true, linkMbit: 1000 },
    { label: 'virtual:gen #1', linkUp: false, linkMbit: 0 },
  ])
  const [device] = run.devices
  // 60 bytes and 24 more on the wire.
  const rate = { packetsPerSecond: 1000, bitsPerSecond: 672_000 }
  expect(device.rx).toEqual({
    ...{ packets: 104_000, bytes: 6_240_000, ...rate },
    ...{ peakPacketsPerSecond: 1000, peakBitsPerSecond: 672_000 },
  })
  expect(device.dropped).toEqual({ missed: 10_400, crc: 104 })
  expect(device.droppedPerSecond).toEqual({ missed: 100, crc: 1 })
  expect(device.queues.map(({ queue, rx }) => [queue, rx.packetsPerSecond])).toEqual([
    [0, 500],
    [1, 500],
  ])
  expect(run.workers).toEqual([{ worker: 0, polls: 10_400, usefulPolls: 2600, usefulShare: 0.25 }])
  expect(run.app).toEqual({ name: 'mine', counters: { seen: 520 }, perSecond: { seen: 5 } })
})

test('runs come and go, each with an id of its own; only wanted devices are shown', async () => {
  await runs.start('one', [A], () => ({ time: 1, devices: [counters(A, 1)] }))
  const other = info(0, '0000:03:00.0')
  const seen: string[][] = []
  let starting: Promise<void> | null = null
  await collect((state) => {
    seen.push(state.runs.map(({ id, command }) => `${command} ${id}`))
    if (starting === null)
      starting = runs.start('two', [other], () => ({ time: 1, devices: [counters(other, 1)] }))
    if (state.runs.length === 2) runs.end()
    return seen.some((commands) => commands.length === 2) && state.runs.length === 1
  })
  const both = seen.find((commands) => commands.length === 2) ?? []
  expect(both.map((text) => text.split(' ')[0])).toEqual(['one', 'two'])
  expect(new Set(both.map((text) => text.split(' ')[1])).size).toBe(2)

  await collect(
    (state) => {
      expect(state.runs.map(({ command }) => command)).toEqual(['one'])
      return true
    },
    ['virtual:gen'],
  )
})

test('percentiles of an interval are those of what was measured in it', () => {
  const before = [
    [1023, 1000],
    [99_999, 5],
  ] as const
  const now = [
    [1023, 1090],
    [2047, 9],
    [99_999, 6],
  ] as const
  expect(intervalLatency(now, before)).toEqual({
    ...{ count: 100, p50: 1.023, p90: 1.023, p99: 2.047, p999: 99.999, max: 99.999 },
  })
  expect(intervalLatency(now, now)).toBeNull()
})
