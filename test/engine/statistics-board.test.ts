import type { Device, DeviceStatistics } from '../../src/driver/device.ts'
import type { Crew, QueueCounters } from '../../src/engine/crew.ts'
import { intervalBetween } from '../../src/engine/intervals.ts'
import { StatisticsBoard } from '../../src/engine/statistics-board.ts'

const NOTHING = { packets: 0, bytes: 0 }

/** A card that counts `octets` since it was read last, in a register that sticks. */
class Card {
  reads = 0
  octets = 0
  stuck: string[] = []
  private total = 0

  statistics(): DeviceStatistics {
    this.reads++
    this.total += Math.min(this.octets, 2 ** 36 - 1)
    this.octets = 0
    return { rxPackets: 0, rxBytes: 0, txPackets: 0, txBytes: this.total, dropped: {}, stuck: this.stuck }
  }
}

function bench(way: 'rx' | 'tx' = 'tx') {
  const cards = [new Card(), new Card()]
  const moved = [0, 0]
  const warnings: string[] = []
  const counters = (_queue: number, index: number): QueueCounters => ({
    ...{ rx: NOTHING, tx: NOTHING },
    [way]: { packets: 0, bytes: moved[index] },
    dropped: { pool_empty: 0, fragments: 0 },
  })
  const devices = cards.map((card, i) => ({ name: `card ${i}`, statistics: () => card.statistics() }))
  const board = new StatisticsBoard(
    devices as unknown as Device[],
    { app: null, counters, totals: (index: number) => counters(0, index) } as unknown as Crew,
    1,
    (text) => warnings.push(text),
  )
  const move = (index: number, bytes: number): void => {
    moved[index] += bytes
    cards[index].octets += bytes
  }
  return { cards, board, move, warnings }
}

test('cards are read every few seconds, whatever the interval', () => {
  const { cards, board } = bench()
  const start = performance.now()
  board.keepUp(start + 3000)
  expect(cards[0].reads).toBe(0)
  board.keepUp(start + 5000)
  expect(cards.map(({ reads }) => reads)).toEqual([1, 1])
})

test.each(['rx', 'tx'] as const)(
  'at 86 GB/s of %s nothing sticks: a card is read before 2^36 octets, by what the workers have moved',
  (way) => {
    const { cards, board, move } = bench(way)
    const now = performance.now()
    for (let tenths = 0; tenths < 100; tenths++) {
      move(1, 8.6e9)
      board.keepUp(now)
    }
    expect(board.totals()[1].tx.bytes).toBe(860e9)
    // Not at every look, though.
    expect(cards[1].reads).toBeLessThan(52)
  },
)

test('an interval has what has changed, and the totals', () => {
  const { board, move } = bench()
  move(0, 100)
  const before = board.sample()
  move(0, 11)
  board.keepUp(Infinity)
  move(0, 22)
  const { devices, totals } = intervalBetween(before, board.sample(), 1)
  expect([devices[0].tx.bytes, totals[0].tx.bytes]).toEqual([33, 133])
})

test('a counter that has stuck is warned of, once', () => {
  const { cards, board, warnings } = bench()
  cards[1].stuck = ['GOTCL']
  board.totals()
  board.totals()
  expect(warnings).toEqual([
    'card 1: GOTCL has reached its largest value and stuck there: some of what it counts is missing',
  ])
})

describe('what is shown of a device', () => {
  const counted = { rxPackets: 1, rxBytes: 60, txPackets: 2, txBytes: 130, stuck: [] }
  /** Of two queues, by the workers: the second has ten times as much. */
  const counters = (queue: number): QueueCounters => {
    const times = queue === 0 ? 1 : 10
    return {
      rx: { packets: 3 * times, bytes: 200 * times },
      tx: { packets: 5 * times, bytes: 320 * times },
      dropped: { pool_empty: 7 * times, tx_unsent: times },
    }
  }
  const sums: QueueCounters = {
    rx: { packets: 33, bytes: 2200 },
    tx: { packets: 55, bytes: 3520 },
    dropped: { pool_empty: 77, tx_unsent: 11 },
  }
  let gone = false
  const device = {
    name: 'card',
    statistics() {
      if (gone) throw new Error('gone')
      return { ...counted, dropped: { missed: 4, pool_empty: 100 } }
    },
  }
  const crew = { app: null, counters, totals: () => sums } as unknown as Crew
  const board = (queues: number): StatisticsBoard =>
    new StatisticsBoard([device as unknown as Device], crew, queues)
  const whole = {
    ...{ index: 0, device: 'card', queue: null },
    rx: { packets: 1, bytes: 60 },
    tx: { packets: 2, bytes: 130 },
    // Each drop has a name; where card and workers have the same, they have not counted the same packets.
    dropped: { missed: 4, pool_empty: 177, tx_unsent: 11 },
  }
  beforeEach(() => {
    gone = false
  })

  test('is what its card counts and what the workers have dropped; of each queue, what its worker says', () => {
    expect(board(1).totals()).toEqual([whole])
    const queues = [0, 1].map((queue) => ({ index: 0, device: 'card', queue, ...counters(queue) }))
    expect(board(2).totals()).toEqual([whole, ...queues])
    expect(board(1).finalTotals([null])).toEqual([whole])
  })

  test('of one that is gone: what its process has said last, else what the workers know', () => {
    const traffic = { rx: { packets: 301, bytes: 302 }, tx: { packets: 303, bytes: 304 } }
    const last = { ...traffic, dropped: { missed: 6, filtered: 8 } }
    const known = board(1)
    known.totals()
    gone = true
    // What the rings still held has not been sent, nor have its bytes.
    const ofWorkers = { rx: sums.rx, tx: { packets: 44, bytes: 44 * 64 }, dropped: whole.dropped }
    expect(known.finalTotals([null])).toEqual([{ ...whole, ...ofWorkers }])
    const dropped = { missed: 6, filtered: 8, pool_empty: 77, tx_unsent: 11 }
    expect(known.finalTotals([last])).toEqual([{ ...whole, ...traffic, dropped }])
  })
})
