/** Counts that don't fit together: what differs at each place is unaccounted, whichever of the two is larger. */
import { balanceOf, cardBalance, type NicCounts, type PortCounts } from '../../src/engine/balance.ts'
import { plainAccount } from '../../src/vnic/wires/account.ts'

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

describe('what workers have left in the transmit rings', () => {
  const counts = (sent: number): PortCounts => ({
    ...{ index: 0, device: 'nic0', nic: null },
    card: { received: 0, sent, dropped: { tx_refused: 3 } },
    worker: { taken: 0, dropped: {}, untaken: 0, filteredOut: 0, queued: 100, unsent: 20 },
  })
  const refused = { place: 'card', cause: 'tx_refused', frames: 3 }
  test.each([
    // Of the 80 that the card was seen to take it has refused three.
    ['is lost', 77, 20, 0],
    ['unless the card has sent it afterwards', 82, 15, 0],
    ['maybe all of it', 97, 0, 0],
    ['but no more than there was', 107, 0, 10],
    ['nor does what the card has not sent make more of it', 60, 20, 17],
  ])('%s', (_, sent, unsent, unaccounted) => {
    const [out] = balanceOf({ name: 'pktgen', passes: [] }, [counts(sent)])
    const left = unsent > 0 ? [{ place: 'worker', cause: 'tx_unsent', frames: unsent }] : []
    expect(out).toMatchObject({ offered: 100, arrived: sent, lost: [...left, refused], unaccounted })
  })
})

test('what comes to an app that passes nothing on has arrived there; what a card refuses to send is not of this direction', () => {
  const [, into] = balanceOf({ name: 'pktgen' }, [
    {
      ...{ index: 0, device: 'nic0', nic: null },
      card: { received: 50, sent: 0, dropped: { missed: 4, tx_refused: 9 } },
      worker: { taken: 48, dropped: { bad_length: 2 }, untaken: 0, filteredOut: 0, queued: 0, unsent: 0 },
    },
  ])
  expect(into).toMatchObject({ offered: 54, arrived: 48, unaccounted: 0 })
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

test('what the host of a virtual card could not send is lost on the way out', () => {
  const nic = {
    card: { rx: { packets: 0 }, tx: { packets: 30 }, dropped: { rx_buffered: 0, tx_invalid: 9 } },
    buffered: 0,
    account: plainAccount({ arrived: 30 }),
  } as unknown as NicCounts
  // When the workers looked for the last time, 20 were left; the card has taken nine of them.
  const worker = { taken: 0, dropped: {}, untaken: 0, filteredOut: 0, queued: 50, unsent: 20 }
  const port = { index: 0, device: 'nic0', card: { received: 0, sent: 30, dropped: {} }, worker, nic }
  const [out, into] = balanceOf({ name: 'pktgen' }, [port])
  const lost = [
    { place: 'worker', cause: 'tx_unsent', frames: 11 },
    { place: 'card', cause: 'tx_invalid', frames: 9 },
  ]
  expect(out).toMatchObject({ offered: 50, arrived: 30, lost, unaccounted: 0 })
  expect(into).toMatchObject({ offered: 0, lost: [], unaccounted: 0 })
})
