import { balanceLines, lossRatio, unmetLoss, verdictOf } from '../../../src/cli/output/loss.ts'
import { NO_LOSS } from '../../../src/engine/loss.ts'

const LOSS = { ...NO_LOSS, judged: true, reason: '', of: 1000 }

test('the share that is lost or changed is held against what was expected, if nothing is unknown', () => {
  const loss = { ...LOSS, lost: 10, corrupted: 5 }
  expect([lossRatio(loss), lossRatio({ ...loss, of: 0 })]).toEqual([0.015, 0])
  expect([unmetLoss(loss, 0.015), unmetLoss({ ...LOSS, of: 1 }, 0)]).toEqual([null, null])
  expect(unmetLoss(loss, 0.0149)).toBe(
    'lost 10 and corrupted at most 5 of 1000 packets (0.0150), expected at most 0.0149',
  )
  expect(unmetLoss({ ...loss, bySequence: true }, 0)).toMatch(/^lost 10 and corrupted 5 of/)
  expect(unmetLoss({ ...LOSS, unaccounted: 1 }, 1)).toMatch(/^nobody has counted .* 1 packets/)
  expect(unmetLoss({ ...LOSS, of: 0 }, 1)).toMatch(/^no packet moved/)
  expect(unmetLoss({ ...LOSS, judged: false, reason: 'x is gone' }, 1)).toMatch(/x is gone$/)
})

test('a verdict adds up what the judging wires have seen, and is good only if all of it is 0', () => {
  const wires = [
    { wire: 'gen', counters: { lost: 0, duplicated: 2, reordered: 3 } },
    { wire: 'gen', counters: { lost: 0, duplicated: 10, reordered: 20 } },
    // Doesn't judge: an end that only counts.
    { wire: 'fault', counters: { duplicated: 500 } },
  ]
  const virtual = [{ index: 0, device: 'a', wires, breaches: [], final: true }]
  const text = (loss: Partial<typeof LOSS>): string => verdictOf({ ...LOSS, ...loss }, virtual).text
  expect(text({ lost: 1, corrupted: 4, bySequence: true })).toBe(
    'lost 1, duplicated 12, reordered 23, corrupted 4',
  )
  expect(text({ lost: 1 })).toBe('lost 1')
  expect(text({ corrupted: 4, unaccounted: 5 })).toBe('lost 0, corrupted at most 4, unaccounted 5')
  const good = (loss: Partial<typeof LOSS>): boolean => verdictOf({ ...LOSS, ...loss }, []).good
  expect([{}, { lost: 1 }, { corrupted: 1 }, { unaccounted: 1 }, { judged: false }].map(good)).toEqual([
    true,
    ...[false, false, false, false],
  ])
})

test('a direction in which nothing moved has no line; every fate of the others is in it', () => {
  const [from, to] = [0, 1].map((index) => ({ device: 'nic', index }))
  const nothing = {
    returned: 0,
    copies: 0,
    corrupted: 0,
    arrived: 0,
    underWay: 0,
    filteredOut: 0,
    unaccounted: 0,
  }
  const moved = { offered: 1000, copies: 2, arrived: 3, underWay: 4, filteredOut: 5, unaccounted: 6 }
  const lost = [{ place: 'card', cause: 'no_descriptor', frames: 7 }]
  expect(
    balanceLines(
      [
        { from, to, ...nothing, ...moved, lost },
        { from: to, to: from, ...nothing, offered: 0, lost: [] },
      ],
      new Map([[1, 'nic #1']]),
    ),
  ).toEqual([
    'nic to nic #1: offered 1,000, copies 2, arrived 3, filtered out 5, no descriptor 7 (card), under way 4, unaccounted 6',
  ])
})
