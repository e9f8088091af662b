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

function bench() {
  const cards = [new Card(), new Card()]
  const sent = [0, 0]
  const warnings: string[] = []
  const counters = (_queue: number, index: number): QueueCounters => ({
    rx: NOTHING,
    tx: { packets: 0, bytes: sent[index] },
    dropped: { pool_empty: 0, fragments: 0 },
  })
  const devices = cards.map((card, i) => ({ name: `card ${i}`, statistics: () => card.statistics() }))
  const board = new StatisticsBoard(
    devices as unknown as Device[],
    { app: null, counters, totals: (index: number) => counters(0, index) } as unknown as Crew,
    1,
    (text) => warnings.push(text),
  )
  const send = (index: number, bytes: number): void => {
    sent[index] += bytes
    cards[index].octets += bytes
  }
  return { cards, board, send, warnings }
}

test('cards are read every few seconds, whatever the interval', () => {
  const { cards, board } = bench()
  const start = performance.now()
  board.keepUp(start + 3000)
  expect(cards[0].reads).toBe(0)
  board.keepUp(start + 5000)
  expect(cards.map(({ reads }) => reads)).toEqual([1, 1])
})

test('at 86 GB/s nothing sticks: a card is read before 2^36 octets, by what the workers have moved', () => {
  const { cards, board, send } = bench()
  const now = performance.now()
  for (let tenths = 0; tenths < 100; tenths++) {
    send(1, 8.6e9)
    board.keepUp(now)
  }
  expect(board.totals()[1].tx.bytes).toBe(860e9)
  // Not at every look, though.
  expect(cards[1].reads).toBeLessThan(52)
})

test('an interval has what has changed, and the totals', () => {
  const { board, send } = bench()
  send(0, 100)
  const before = board.sample()
  send(0, 11)
  board.keepUp(Infinity)
  send(0, 22)
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
