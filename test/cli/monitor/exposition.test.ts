import { spawnSync } from 'node:child_process'
import { exposition, formatFor } from '../../../src/cli/monitor/exposition.ts'
import type { DeviceState, MonitorState, RunState } from '../../../src/cli/monitor/state.ts'
import { missing, testIf } from '../../skip.ts'

const traffic = (packets: number) => ({
  packets,
  bytes: packets * 60,
  packetsPerSecond: null,
  bitsPerSecond: null,
  peakPacketsPerSecond: null,
  peakBitsPerSecond: null,
})

const device: DeviceState = {
  device: 'virtual:replay=a "b"\\c\nd',
  index: 0,
  label: 'virtual:replay',
  model: '82599',
  mac: '52:54:00:00:00:01',
  access: 'vfio-user',
  linkUp: true,
  linkMbit: 10_000,
  rx: traffic(30),
  tx: traffic(2 ** 53 - 1),
  dropped: { missed: 7, crc: 0 },
  droppedPerSecond: {},
  queues: [0, 1].map((queue) => ({
    queue,
    rx: traffic(10 + queue),
    tx: traffic(20 + queue),
    dropped: { pool_empty: queue },
    droppedPerSecond: {},
  })),
  wires: [],
  breaches: [],
}

const run: RunState = {
  id: '1-a',
  pid: 4711,
  command: 'forward',
  version: '0.1.0',
  startedAt: '2026-01-02T03:04:05.067Z',
  state: 'running',
  seconds: null,
  devices: [device],
  workers: [{ worker: 0, polls: 100, usefulPolls: 25, usefulShare: 0.25 }],
  app: { name: 'reflect', counters: { reflected: 12 }, perSecond: {} },
  latency: {
    total: { sent: 10, returned: 9, duplicated: 1, damaged: 0, foreign: 0, late: 0, p50: 2.5 },
    interval: null,
    sumNanoseconds: 4_500_000_000,
    histogram: [
      [511, 1],
      [1023, 2],
      [1055, 3],
      [2 ** 40 - 1, 3],
    ],
  },
}

const state: MonitorState = { time: '', version: '0.1.0', host: 'h', interval: 1, runs: [run] }
const NAME = 'device="virtual:replay=a \\"b\\"\\\\c\\nd",index="0",pid="4711",app="forward"'

test('what a device has counted, under names that a sum() counts once', () => {
  const lines = exposition(state, 'prometheus').split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      '# TYPE ixy_receive_packets_total counter',
      `ixy_receive_packets_total{${NAME}} 30`,
      `ixy_transmit_packets_total{${NAME}} 9007199254740991`,
      `ixy_receive_bytes_total{${NAME}} 1800`,
      `ixy_dropped_packets_total{${NAME},cause="missed"} 7`,
      // A rate has to begin at 0.
      `ixy_dropped_packets_total{${NAME},cause="crc"} 0`,
      `ixy_queue_receive_packets_total{${NAME},queue="1"} 11`,
      `ixy_link_speed_bytes{${NAME}} 1250000000`,
      'ixy_run_start_time_seconds{pid="4711",app="forward"} 1767323045.067',
      'ixy_worker_useful_polls_total{worker="0",pid="4711",app="forward"} 25',
      'ixy_app_events_total{pid="4711",app="forward",counter="reflected"} 12',
      'ixy_probe_packets_total{pid="4711",app="forward",fate="returned"} 9',
    ]),
  )
  expect(lines.filter((line) => line.startsWith('ixy_receive_packets_total'))).toHaveLength(1)
})

test('round trips are a histogram in seconds: all that took as long, and less', () => {
  const lines = exposition(state, 'prometheus').split('\n')
  const bucket = (le: string, count: number): string =>
    `ixy_round_trip_seconds_bucket{pid="4711",app="forward",le="${le}"} ${count}`
  expect(lines).toEqual(
    expect.arrayContaining([
      bucket('0.000001023', 3),
      bucket('0.000002047', 6),
      bucket('17.179869183', 6),
      bucket('+Inf', 9),
      'ixy_round_trip_seconds_sum{pid="4711",app="forward"} 4.5',
      'ixy_round_trip_seconds_count{pid="4711",app="forward"} 9',
    ]),
  )
})

test('a run that does not answer is down, a link that is down has no speed, without runs there is little', () => {
  const down = { ...device, linkUp: false, linkMbit: 0 }
  const text = exposition(
    { ...state, runs: [{ ...run, state: 'hangs', devices: [down], latency: null }] },
    'prometheus',
  )
  expect(text).toContain('ixy_run_up{pid="4711",app="forward"} 0\n')
  expect(text).toContain(`ixy_link_up{${NAME}} 0\n`)
  expect(text).not.toMatch(/link_speed|round_trip|probe/)
  expect(exposition({ ...state, runs: [] }, 'prometheus')).toBe(
    '# HELP ixy_stats_info Version of the ixy-ts that tells all this.\n' +
      '# TYPE ixy_stats_info gauge\nixy_stats_info{version="0.1.0"} 1\n',
  )
})

test('OpenMetrics: families without _total and _info, and an end', () => {
  const text = exposition(state, 'openmetrics')
  expect(text).toContain('# TYPE ixy_receive_packets counter\n')
  expect(text).toContain(`\nixy_receive_packets_total{${NAME}} 30\n`)
  expect(text).toContain('# TYPE ixy_device info\nixy_device_info{')
  expect(text.endsWith('\n# EOF\n')).toBe(true)
})

test.each([
  [undefined, 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/plain;version=0.0.4', 'prometheus'],
  ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3', 'openmetrics'],
  ['application/openmetrics-text', 'openmetrics'],
  ['application/openmetrics-text; version=2.0.0, text/plain', 'prometheus'],
  ['application/openmetrics-text;q=0', 'prometheus'],
])('Accept %s: %s', (accept, format) => {
  expect(formatFor(accept)).toBe(format)
})

testIf(missing({ programs: ['promtool'] }), 'promtool finds nothing to complain of', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: exposition(state, 'prometheus'),
    encoding: 'utf8',
  })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
})
