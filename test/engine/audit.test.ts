/** What is told of a run's devices by all who have counted, at its end and while it lasts. */
import { Audit } from '../../src/engine/audit.ts'
import type { PortCounts } from '../../src/engine/balance.ts'
import type { Crew } from '../../src/engine/crew.ts'
import type { Session } from '../../src/engine/session.ts'
import type { StatisticsBoard } from '../../src/engine/statistics-board.ts'
import type { DeviceCounters } from '../../src/engine/types.ts'
import { watchedSample, type Watched } from '../../src/engine/watched-sample.ts'
import type { NicReport } from '../../src/vnic/child-protocol.ts'
import { plainAccount } from '../../src/vnic/wires/account.ts'

/** Of a card, a virtual one, and one of its queues; all by the driver and the workers. */
const COUNTED: DeviceCounters[] = [
  {
    ...{ index: 0, device: 'card', queue: null },
    ...{ rx: { packets: 100, bytes: 6000 }, tx: { packets: 0, bytes: 0 } },
    dropped: { missed: 3, pool_empty: 4, rx_untaken: 6, tx_unsent: 0 },
  },
  ...[null, 0].map((queue) => ({
    ...{ index: 1, device: 'virtual', queue },
    ...{ rx: { packets: 0, bytes: 0 }, tx: { packets: 83, bytes: 4980 } },
    dropped: { missed: 0, tx_unsent: 7 },
  })),
]
/** What only the model of a card knows: its register of missed frames is the driver's as well. */
const MODEL = { mac_control: 11, filtered: 12, not_listening: 13, tx_invalid: 0, rx_buffered: 15 }
const REPORT = {
  ...{ finite: false, ended: true, settled: true, breaches: [], buffered: 16 },
  moved: { first: 1000, last: 3000 },
  card: { rx: { packets: 0, bytes: 0 }, tx: { packets: 83, bytes: 4980 }, dropped: { missed: 0, ...MODEL } },
  account: plainAccount({ offered: 67, arrived: 83 }),
  wires: [{ wire: 'sink', counters: { arrived: 83, lost: 5 } }],
} as unknown as NicReport

const WORKERS: PortCounts['worker'][] = [
  { taken: 90, dropped: { pool_empty: 4 }, untaken: 6, filteredOut: 0, queued: 0, unsent: 0 },
  { taken: 0, dropped: {}, untaken: 0, filteredOut: 0, queued: 90, unsent: 7 },
]

const device = { stopSending: () => undefined, assertAlive: () => undefined }
const session = {
  devices: [
    { name: 'card', ...device },
    { name: 'virtual', ...device },
  ],
  virtualIndexes: [1],
  virtual: {
    names: 'virtual',
    finalReports: () => Promise.resolve({ reports: [REPORT], final: true }),
    latest: () => [REPORT],
  },
} as unknown as Session
const polls = [{ worker: 0, polls: 9, useful: 8 }]
const crew = {
  ...{ counted: true, moved: () => [{ first: 900, last: 2000 }], polls: () => polls },
  account: (index: number) => WORKERS[index],
} as unknown as Crew

test('at the end a virtual card adds the drops that no register has, and every frame has a fate', async () => {
  const board = { finalTotals: () => COUNTED } as unknown as StatisticsBoard
  const app = { name: 'forward', passes: [[0, 1]] } as const
  const audit = await Audit.take(session, app, crew, board, () => false)
  const [card, virtual, queue] = COUNTED
  const dropped = { ...virtual.dropped, ...MODEL, rx_buffered: 15 + 16 }
  expect(audit.devices).toEqual([card, { ...virtual, dropped }, queue])
  expect(audit.balance.map(({ offered, arrived, unaccounted }) => [offered, arrived, unaccounted])).toEqual([
    [103, 83, 0],
    [0, 0, 0],
    [67, 0, 0],
  ])
  expect(audit.loss).toMatchObject({ judged: true, lost: 3 + 4 + 6 + 7 + 67, unaccounted: 0 })
  // From the first packet to the last and a hundredth more, the most that a device has moved.
  expect(audit.active(10)).toBeCloseTo(2.1 * (100 / 99), 9)
  const alone = { finalTotals: () => [virtual] } as unknown as StatisticsBoard
  const sender = await Audit.take(session, app, null, alone, () => false)
  expect(sender.active(10)).toBeCloseTo(2 * (83 / 82), 9)
})

test.each([
  [86, 4, 7],
  [90, 0, 0],
])(
  'of 7 that the workers left in a ring, a card that has sent %i of 90 has left %i',
  async (sent, left, ofQueue) => {
    const virtual = COUNTED.slice(1).map((row) => ({ ...row, tx: { packets: sent, bytes: 60 * sent } }))
    const board = { finalTotals: () => virtual } as unknown as StatisticsBoard
    const { devices, balance } = await Audit.take(session, { name: 'pktgen' }, crew, board, () => false)
    // Whose the difference was, of several queues, nobody knows unless nothing is left.
    expect(devices.map(({ dropped }) => dropped['tx_unsent'])).toEqual([left, ofQueue])
    expect(balance[0].lost).toEqual(left === 0 ? [] : [{ place: 'worker', cause: 'tx_unsent', frames: left }])
  },
)

test('while it lasts, too, but what waits in a packet buffer is not lost yet, nor is what a wire lacks', () => {
  const sample = { time: 5, devices: COUNTED }
  const links = [{ index: 0, up: true, mbit: 10_000 }]
  const parts = {
    board: { sample: () => sample },
    links: { now: () => links },
    workload: { roundTrips: () => null },
  }
  const watched = watchedSample({ session, crew, ...parts } as unknown as Watched)
  const [card, virtual, queue] = COUNTED
  const wires = [{ wire: 'sink', counters: { arrived: 83 } }]
  expect(watched).toEqual({
    ...{ time: 5, links, workers: polls },
    devices: [card, { ...virtual, dropped: { ...virtual.dropped, ...MODEL } }, queue],
    wires: [{ index: 1, device: 'virtual', wires, breaches: [] }],
  })
})
