/** What counts as lost, and when it is known frame by frame. */
import type { Balance, NicCounts, PortCounts } from '../../src/engine/balance.ts'
import { checkedGenerators, lossOf } from '../../src/engine/loss.ts'
import { plainAccount } from '../../src/vnic/wires/account.ts'
import type { Tally } from '../../src/vnic/wires/ledger.ts'

const APP = { name: 'forward', passes: [[0, 1]] } as const

function generator(counts: Partial<Tally>): Tally {
  const nothing = { sent: 0, undelivered: 0, received: 0, duplicated: 0, reordered: 0 }
  return { ...nothing, corrupted: 0, late: 0, lost: 0, ...counts }
}

function port(index: number, counts: Parameters<typeof plainAccount>[0], filteredOut = 0): PortCounts {
  const nothing = { taken: 0, dropped: {}, untaken: 0, queued: 0, unsent: 0 }
  return {
    ...{ index, device: `nic${index}`, card: { received: 0, sent: 0, dropped: {} } },
    worker: { ...nothing, filteredOut },
    nic: { account: plainAccount(counts) } as unknown as NicCounts,
  }
}

function balance(counts: Partial<Balance>): Balance {
  const end = { device: 'nic', index: 0 }
  const nothing = { offered: 0, returned: 0, copies: 0, corrupted: 0, arrived: 0, underWay: 0 }
  return { from: end, to: end, ...nothing, lost: [], filteredOut: 0, unaccounted: 0, ...counts }
}

const lost = (...frames: number[]): Balance['lost'] =>
  frames.map((one, i) => ({ place: 'card', cause: `cause${i}`, frames: one }))

test('frames that are checked by number are lost by number, whatever else has been counted', () => {
  const ports = [
    port(0, {
      generators: [
        generator({ sent: 60, lost: 7, corrupted: 2 }),
        generator({ sent: 40, lost: 1, corrupted: 3 }),
      ],
    }),
    port(1, { books: true }),
  ]
  const balances = [balance({ offered: 100, corrupted: 50, underWay: 4, lost: lost(20), unaccounted: 3 })]
  const verdict = { lost: 8, corrupted: 5, of: 100, unaccounted: 3, bySequence: true }
  expect(lossOf(APP, ports, balances)).toEqual(verdict)
  // What has returned from a loop was offered before.
  const returned = [balance({ ...balances[0], offered: 150, returned: 50 })]
  expect(lossOf(APP, ports, returned)).toEqual(verdict)
})

test('elsewhere whatever is missing is lost, in all directions', () => {
  const ports = [port(0, { generators: [generator({ sent: 99, lost: 7 })] }), port(1, { books: true })]
  const balances = [
    balance({ offered: 90, corrupted: 5, underWay: 4, lost: lost(20, 1), unaccounted: 3 }),
    balance({ offered: 60, returned: 50, corrupted: 6, underWay: 1, lost: lost(2), unaccounted: 2 }),
  ]
  const verdict = { lost: 28, corrupted: 11, of: 100, unaccounted: 5, bySequence: false }
  expect(lossOf(APP, ports, balances)).toEqual(verdict)
  // No more are corrupted than have come.
  const often = [{ ...balances[0], corrupted: 500 }, balances[1]]
  expect(lossOf(APP, ports, often)).toEqual({ ...verdict, corrupted: 72 })
  const manyCopies = [{ ...balances[0], copies: 500, lost: lost(300) }, balances[1]]
  expect(lossOf(APP, ports, manyCopies)).toEqual({ ...verdict, lost: 100, corrupted: 0 })
  const none = { lost: 0, corrupted: 0, of: 0, unaccounted: 0, bySequence: false }
  expect(lossOf(APP, [port(0, {}), port(1, { books: true })], [balance({})])).toEqual(none)
})

test('a late frame may be a copy, where there are any', () => {
  const bySequence = (late: number, copies: number): boolean => {
    const ports = [port(0, { generators: [generator({ sent: 100, late })] }), port(1, { books: true })]
    return lossOf(APP, ports, [balance({ offered: 100, copies })]).bySequence
  }
  expect([bySequence(1, 0), bySequence(0, 1), bySequence(1, 1)]).toEqual([true, true, false])
})

test('a generator is checked where all that it sends comes to books, and no filter holds any back', () => {
  const books = port(1, { books: true })
  expect(checkedGenerators(APP, [port(0, {}), books])).toEqual([true, false])
  expect(checkedGenerators(APP, [port(0, {}, 1), books])).toEqual([false, false])
  expect(checkedGenerators(APP, [port(0, {}), { ...books, nic: null }])).toEqual([false, false])
  expect(checkedGenerators(APP, [port(0, {}), port(1, {})])).toEqual([false, false])
  // A loop sends them back to where they came from; an end without one keeps them.
  const loop = port(1, {})
  const account = { ...plainAccount({}), in: { ...plainAccount({}).in, returned: 9 } }
  const looped = { ...loop, nic: { ...loop.nic, account } as unknown as NicCounts }
  expect(checkedGenerators(APP, [port(0, { books: true }), looped])).toEqual([true, false])
  expect(checkedGenerators(APP, [port(0, {}), looped])).toEqual([false, false])
  expect(checkedGenerators(APP, [port(0, { books: true }), loop])).toEqual([false, false])
})
