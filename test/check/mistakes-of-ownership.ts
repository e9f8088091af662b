/** Packets that are given away twice, never, or by those who don't have them. */
import { type Mistake, mistakesIn } from './rig.ts'

export const OWNERSHIP: readonly Mistake[] = mistakesIn(__filename, {
  'frees a batch twice': [
    'double-free',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        memory.free(batch, 0, count)
        memory.free(batch, 0, count) // here
      },
  ],
  'frees one packet of a batch, then all': [
    'double-free',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        if (count === 8) memory.free(batch, 3, 1)
        memory.free(batch, 0, count) // here
      },
  ],
  'frees what it has transmitted': [
    'double-free',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        tx.transmit(batch, 0, count)
        memory.free(batch, 0, count) // here
      },
  ],
  'frees what was not accepted, from the wrong index on': [
    'double-free',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        const sent = tx.transmit(batch, 0, count)
        memory.free(batch, Math.max(0, sent - 1), Math.min(count, count - sent + 1)) // here
      },
  ],
  'has the same packet twice in what it frees': [
    'double-free',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        if (count === 8) batch[7] = batch[6]
        memory.free(batch, 0, count) // here
      },
  ],
  'transmits a batch out of both ports': [
    'double-transmit',
    ({ ports: [a, b], memory, batch }) =>
      () => {
        const count = a.rx.receive(batch, Math.min(batch.length, a.tx.room(), b.tx.room()))
        a.tx.transmit(batch, 0, count)
        b.tx.transmit(batch, 0, count) // here
        memory.free(batch, 0, 0)
      },
  ],
  'transmits again from the start what did not fit': [
    'double-transmit',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        const sent = tx.transmit(batch, 0, count >> 1)
        if (sent < count) tx.transmit(batch, 0, count - sent) // here
      },
  ],
  'has the same packet twice in what it transmits': [
    'double-transmit',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count === 8) batch[7] = batch[0]
        tx.transmit(batch, 0, count) // here
      },
  ],
  'transmits one packet more than it has received': [
    'double-transmit',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count > 0) tx.transmit(batch, 0, Math.min(batch.length, count === 1 ? 2 : count)) // here
      },
  ],
  'transmits whole batches, full or not': [
    'double-transmit',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(4, tx.room()))
        if (count > 0 && batch[7] === 0) batch.copyWithin(4, 0, 4)
        if (count > 0) tx.transmit(batch, 0, batch.length) // here
      },
  ],
  'transmits what it has freed': [
    'use-after-free',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        memory.free(batch, 0, count)
        tx.transmit(batch, 0, count) // here
      },
  ],
  'transmits without having received': [
    'not-owned',
    ({ ports: [{ tx }], batch }) =>
      () => {
        batch.forEach((_, i) => (batch[i] = i))
        tx.transmit(batch, 0, 4) // here
      },
  ],
  'frees an array that nothing was put into': [
    'not-owned',
    ({ memory }) => {
      const batch = new Int32Array(4)
      return () => memory.free(batch, 0, 4) // here
    },
  ],
  'takes the id after the last of a batch for its own': [
    'not-owned',
    ({ pool, memory, batch }) =>
      () => {
        const count = memory.allocate(pool, batch, 1)
        batch[count] = batch[count - 1] - 1
        memory.free(batch, 0, count + 1) // here
      },
  ],
  'frees an id that is none': [
    'foreign-id',
    ({ memory }) => {
      const mine = Int32Array.of(70_000)
      return () => memory.free(mine, 0, 1) // here
    },
  ],
  'uses -1 for none, and transmits it': [
    'foreign-id',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count === 8) batch[2] = -1
        tx.transmit(batch, 0, count) // here
      },
  ],
  'uses ids of another worker': [
    'foreign-id',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count > 1) batch[1] += memory.pools << memory.poolShift
        tx.transmit(batch, 0, count) // here
      },
  ],
  'keeps ids over polls, and frees them later': [
    'double-free',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const kept = new Int32Array(1)
      let polls = 0
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count > 0 && polls === 0) kept[0] = batch[0]
        tx.transmit(batch, 0, count)
        if (count > 0 && ++polls === 5) memory.free(kept, 0, 1) // here
      }
    },
  ],
  'forgets to free what it has counted': [
    'leak',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length) // here
        if (count < 8) memory.free(batch, 0, count)
      },
  ],
  'forgets what did not fit the transmit ring': [
    'leak',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, batch.length) // here
        tx.transmit(batch, 0, count)
      },
  ],
  'frees all but the first': [
    'leak',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length) // here
        memory.free(batch, 1, Math.max(0, count - 1))
      },
  ],
  'receives into a batch that is not empty yet': [
    'leak',
    ({ ports: [a, b], memory, batch }) =>
      () => {
        a.rx.receive(batch, batch.length) // here
        memory.free(batch, 0, b.rx.receive(batch, batch.length))
      },
  ],
  'allocates for every poll, and sends when there is room': [
    'leak',
    ({ ports: [{ tx }], memory, pool, batch }) => {
      let polls = 0
      return () => {
        const count = memory.allocate(pool, batch, 2) // here
        for (let i = 0; i < count; i++) memory.size[batch[i]] = 60
        if (polls++ % 2 === 0) memory.free(batch, tx.transmit(batch, 0, count), 0)
      }
    },
  ],
  'keeps a queue, and leaves it full at the end': [
    'leak',
    ({ ports: [{ rx }], memory, batch }) => {
      const queue: number[] = []
      return () => {
        const count = rx.receive(batch, 1) // here
        for (let i = 0; i < count; i++) queue.push(batch[i])
        if (queue.length > 4) memory.free(Int32Array.of(queue.shift() ?? 0), 0, 1)
      }
    },
  ],
})
