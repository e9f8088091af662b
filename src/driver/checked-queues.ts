/** Queues as an app gets them under --check: every packet that changes hands goes by the books (memory/checked). */
import { type Ledger, TRANSMIT_RING } from '../memory/checked/ledger.ts'
import { verifyRange } from '../memory/checked/range.ts'
import { offloadFault } from '../memory/offload-rules.ts'
import type { RxQueue, TxQueue } from './device.ts'

/** So many descriptors are looked at in a poll in which no whole packet has come in. */
const LEAST = 4

/** `pool`: the one that the queue takes buffers from. */
export function checkedRx(rx: RxQueue, ledger: Ledger, pool: number): RxQueue {
  function receive(batch: Int32Array, limit: number): number {
    ledger.begin()
    verifyRange(ledger, 'receive', batch, 0, limit)
    // Whatever is armed may be written to at once, so it is looked at before.
    const most = Math.min(limit, Math.max(LEAST, rx.untaken()))
    const next = ledger.aboutToBeArmed(pool, most)
    const before = rx.fragments + rx.badLength + rx.poolEmpty
    const count = rx.receive(batch, most)
    ledger.armed(pool, next)
    if (rx.fragments + rx.badLength + rx.poolEmpty !== before) ledger.dropped(pool)
    for (let i = 0; i < count; i++) ledger.takeReceived(batch[i])
    return count
  }

  return withCounters({ receive, untaken: rx.untaken }, rx, [
    'packets',
    'bytes',
    'poolEmpty',
    'fragments',
    'badLength',
  ])
}

export function checkedTx(tx: TxQueue, ledger: Ledger): TxQueue {
  const { offloads } = ledger.memory

  function transmit(batch: Int32Array, from: number, count: number): number {
    return sent(batch, from, count, () => tx.transmit(batch, from, count))
  }

  function sent(batch: Int32Array, from: number, count: number, send: () => number): number {
    ledger.begin()
    verifyRange(ledger, 'transmit', batch, from, count)
    const seen = new Set<number>()
    for (let i = from; i < from + count; i++) {
      const id = batch[i]
      ledger.verifyOwned('transmit', id)
      if (seen.has(id)) ledger.fail('double-transmit', id, 'transmit: it is in the array twice')
      seen.add(id)
      ledger.verifyContent('transmit', id)
      const fault = offloads === null ? '' : offloadFault(ledger.memory, offloads, id)
      if (fault !== '') ledger.fail('wrong-offload', id, `transmit: ${fault}`)
    }
    const accepted = send()
    for (let i = from; i < from + accepted; i++) ledger.give(batch[i], TRANSMIT_RING)
    ledger.settle()
    return accepted
  }

  function room(): number {
    ledger.begin()
    const left = tx.room()
    ledger.settle()
    return left
  }

  function pending(): number {
    ledger.begin()
    const left = tx.pending()
    ledger.settle()
    return left
  }

  const stamped = tx.transmitStamped
  const transmitStamped =
    stamped && ((batch: Int32Array, from: number) => sent(batch, from, 1, () => stamped(batch, from)))
  return withCounters({ transmit, transmitStamped, room, pending }, tx, ['packets', 'bytes'])
}

/** `calls`, and the counters of `queue` as they are when they are read. */
function withCounters<Calls extends object, Queue, Name extends keyof Queue>(
  calls: Calls,
  queue: Queue,
  names: readonly Name[],
): Calls & Pick<Queue, Name> {
  const getters = names.map((name) => [name, { get: () => queue[name], enumerable: true }])
  return Object.defineProperties(calls, Object.fromEntries(getters)) as Calls & Pick<Queue, Name>
}
