/** Counts that don't fit together: what differs at each place is unaccounted, whichever of the two is larger. */
import { balanceOf, cardBalance, type NicCounts, type PortCounts } from '../../src/engine/balance.ts'

test('what differs along the way through an app is added up without sign', () => {
  const port = (index: number): PortCounts => ({
    ...{ index, device: `nic${index}`, nic: null },
    card: { received: 100, sent: 82, dropped: { missed: 5 } },
    worker: {
      ...{ taken: 90, dropped: { pool_empty: 2 }, untaken: 1 },
      ...{ filteredOut: 4, queued: 80, unsent: 0 },
    },
  })
  const [balance] = balanceOf({ name: 'forward', passes: [[0, 1]] }, [port(0), port(1)])
  expect(balance).toEqual({
    from: { device: 'nic0', index: 0 },
    to: { device: 'nic1', index: 1 },
    ...{ offered: 105, returned: 0, copies: 0, corrupted: 0, arrived: 82, underWay: 0, filteredOut: 4 },
    lost: [
      { place: 'card', cause: 'missed', frames: 5 },
      { place: 'worker', cause: 'pool_empty', frames: 2 },
      { place: 'worker', cause: 'rx_untaken', frames: 1 },
    ],
    // 97 and 90, 86 and 80, 80 and 82.
    unaccounted: 7 + 6 + 2,
  })
})

test('what differs between a wire and its card, and all that happens on the wire', () => {
  const dropped = { place: 'fault', cause: 'dropped', frames: 7 }
  const nic = {
    card: { rx: { packets: 40 }, tx: { packets: 30 }, dropped: { missed: 2, rx_buffered: 1, tx_invalid: 9 } },
    buffered: 3,
    account: {
      in: { offered: 50, returned: 5, copies: 4, corrupted: 6, held: 2, lost: [dropped] },
      out: { arrived: 34, books: false, copies: 1, corrupted: 2, held: 0, lost: [] },
      generators: [],
    },
  } as unknown as NicCounts
  const [into, out] = cardBalance('nic0', 0, nic)
  expect(into).toMatchObject({
    ...{ offered: 55, returned: 5, copies: 4, corrupted: 6, underWay: 2, arrived: 40 },
    lost: [
      dropped,
      { place: 'card', cause: 'missed', frames: 2 },
      { place: 'card', cause: 'rx_buffered', frames: 4 },
    ],
    // 44 came through.
    unaccounted: 4,
  })
  expect(out).toMatchObject({ offered: 30, copies: 1, corrupted: 2, arrived: 34, unaccounted: 3 })
})
