import { type View, liveScreen, short, sparkline } from '../../../src/cli/monitor/live-screen.ts'
import type { DeviceState, MonitorState, RunState, TrafficState } from '../../../src/cli/monitor/state.ts'

const traffic = (packetsPerSecond: number): TrafficState => ({
  packets: 1e6,
  bytes: 6e7,
  packetsPerSecond,
  bitsPerSecond: packetsPerSecond * 672,
  peakPacketsPerSecond: packetsPerSecond * 2,
  peakBitsPerSecond: packetsPerSecond * 1344,
})

function device(index: number, label: string): DeviceState {
  const counted = { rx: traffic(14.88e6), tx: traffic(1000), dropped: {}, droppedPerSecond: {} }
  return {
    ...{ device: label, index, label, model: '', mac: '', access: 'vfio', linkUp: true, linkMbit: 10_000 },
    ...counted,
    queues: [0, 1, 2, 3].map((queue) => ({ queue, ...counted })),
    wires: [],
    breaches: [],
  }
}

function run(pid: number, devices: readonly DeviceState[]): RunState {
  const rates = {
    rxPacketsPerSecond: 5,
    txPacketsPerSecond: 10,
    rxBitsPerSecond: 1,
    txBitsPerSecond: 2,
    droppedPerSecond: 0,
  }
  const queues = [0, 1, 2, 3].map(() => rates)
  return {
    ...{
      id: String(pid),
      pid,
      command: 'forward',
      version: '1',
      startedAt: null,
      state: 'running',
      seconds: 1,
    },
    devices,
    workers: [{ worker: 0, polls: 10, usefulPolls: 5, usefulShare: 0.5 }],
    app: null,
    latency: null,
    history: [{ time: '', devices: devices.map(() => ({ ...rates, queues })), latency: null }],
  }
}

const state = (runs: readonly RunState[]): MonitorState => ({
  ...{ time: '2026-01-02T03:04:05Z', version: '1', host: 'here', interval: 1, runs },
})
const VIEW: View = {
  unit: 'packets',
  queues: false,
  scroll: 0,
  served: '',
  nothing: 'nothing here',
  silent: [],
  unicode: true,
}
const plain = (text: string): string => text
const tagged = (text: string, style: string): string => `<${style}>${text}</${style}>`
const SIZE = { columns: 80, rows: 24 }

test('a row per device: rates now, the last minute, peak of the busier direction, link', () => {
  const down = { ...device(1, '0000:03:00.1'), linkUp: false, linkMbit: 0 }
  const { lines } = liveScreen(state([run(42, [device(0, '0000:03:00.0'), down])]), VIEW, SIZE, plain)
  expect(lines[1]).toMatch(/^DEVICE +RX pps TX pps LAST MINUTE +PEAK LINK$/)
  expect(lines[2]).toBe('forward pid 42, useful polls 50 %')
  expect(lines[3]).toMatch(/^ 0000:03:00\.0 +14\.9M {3}1\.0k +█ {2}29\.8M 10G$/)
  expect(lines[4]).toMatch(/ 29\.8M down$/)
  const bits = liveScreen(state([run(42, [down])]), { ...VIEW, unit: 'bits' }, SIZE, plain).lines
  expect(bits[3]).toMatch(/^ 0000:03:00\.1 +10\.0G {3}672k /)
})

test('drops by cause are red, and none where a filter has kept them back', () => {
  const dropped = { ...device(0, 'a'), dropped: { missed: 1234, crc: 0 }, droppedPerSecond: { missed: 20 } }
  const filtered = { ...device(1, 'b'), dropped: { filtered_out: 9 } }
  const { lines } = liveScreen(state([run(1, [dropped, filtered])]), VIEW, SIZE, tagged)
  expect(lines).toEqual(
    expect.arrayContaining(['<red>  dropped missed 1,234 (+20/s)</red>', '  dropped filtered out 9']),
  )
})

test('breaches of all rules are one number', () => {
  const breaches = [2, 3].map((count) => ({ rule: `rule ${count}`, count }))
  const { lines } = liveScreen(state([run(1, [{ ...device(0, 'a'), breaches }])]), VIEW, SIZE, tagged)
  expect(lines).toContain('<red>  breaches of the datasheet 5</red>')
})

test('a run that does not answer says so, and its rates are unknown', () => {
  const unknown = { ...traffic(0), packetsPerSecond: null, bitsPerSecond: null }
  const silent = { ...run(7, [{ ...device(0, 'a'), rx: unknown, tx: unknown }]), state: 'stopped' as const }
  const { lines } = liveScreen(state([silent]), { ...VIEW, silent: ['pid 8 is stopped'] }, SIZE, tagged)
  expect(lines[2]).toContain('<red>: is stopped</red>')
  expect(lines[3]).toMatch(/> +- +- /)
  expect(lines[lines.length - 1]).toContain('<red>pid 8 is stopped  </red>')
})

test.each([
  [80, 24],
  [60, 20],
  [200, 50],
  [20, 5],
  [1, 1],
])('fits %i × %i, whatever is to be shown', (columns, rows) => {
  const names = ['virtual:replay=/a/long/way/to/a/capture.pcapng,rate=1Mpps #0', 'tap0', 'evil\x1b[2J']
  const runs = Array.from({ length: 9 }, (_, i) =>
    run(
      i,
      names.map((name, k) => device(k, name)),
    ),
  )
  for (const queues of [false, true]) {
    const { lines, mostScroll } = liveScreen(state(runs), { ...VIEW, queues }, { columns, rows }, plain)
    expect(lines.length).toBeLessThanOrEqual(rows)
    expect(lines.filter((line) => [...line].length > columns)).toEqual([])
    expect(lines.join('')).not.toContain('\x1b')
    const all = 9 * (1 + 3 * (queues ? 5 : 1))
    expect(mostScroll).toBe(Math.max(0, all - Math.max(0, rows - 3)))
  }
})

test('scrolls to the last row and no further', () => {
  const runs = Array.from({ length: 20 }, (_, i) => run(i, [device(0, 'a')]))
  const { lines } = liveScreen(state(runs), { ...VIEW, scroll: 1000 }, { columns: 80, rows: 10 }, plain)
  expect(lines[lines.length - 3]).toMatch(/^forward pid 19,/)
  expect(lines[lines.length - 1]).toMatch(/^33 lines above, 0 below: j k {2}q ends/)
})

test('nothing runs: it says where it has looked', () => {
  expect(liveScreen(state([]), VIEW, SIZE, plain).lines[2]).toBe('nothing here')
})

test.each([
  [null, '-'],
  [0, '0'],
  [0.5, '0.50'],
  [9.99, '9.99'],
  [9.996, '10'],
  [999.4, '999'],
  [999.6, '1.0k'],
  [1000, '1.0k'],
  [99_949, '99.9k'],
  [99_960, '100k'],
  [999_600, '1.0M'],
  [14_880_952, '14.9M'],
  [1e13, '10.0T'],
])('%p is %s', (value, text) => {
  expect(short(value)).toBe(text)
})

test('a sparkline stands for a minute, the newest at its right end, each cell for its most', () => {
  expect(sparkline([7, 3.5, 0], 60, true)).toBe(`${' '.repeat(57)}█▅▁`)
  expect(sparkline([0, 0], 60, false)).toBe(`${' '.repeat(58)}__`)
  const minute = Array.from({ length: 60 }, (_, i) => i)
  expect(sparkline(minute, 6, true)).toBe('▃▄▅▆▇█')
  expect([...sparkline(minute, 20, true)]).toHaveLength(20)
})
