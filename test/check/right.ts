/** Apps that do nothing wrong, though they do what looks like it. */
import type { Context, Mistake } from './rig.ts'

type Make = Mistake['make']

function forward({ ports: [a, b], batch }: Context): () => void {
  return () => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ])
      to.tx.transmit(batch, 0, from.rx.receive(batch, Math.min(batch.length, to.tx.room())))
  }
}

export const RIGHT: Readonly<Record<string, Make>> = {
  'forwards both ways': forward,
  'frees what the ring has no room for':
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
    () => {
      const count = rx.receive(batch, batch.length)
      const sent = tx.transmit(batch, 0, count)
      memory.free(batch, sent, count - sent)
    },
  'makes answers of what comes in, shorter and longer ones': ({ ports: [{ rx, tx }], memory, batch }) => {
    const { u8, size } = memory
    let packets = 0
    return () => {
      const count = rx.receive(batch, Math.min(batch.length, tx.room()))
      for (let i = 0; i < count; i++) {
        const offset = memory.dataOffset(batch[i])
        u8.fill(1, offset, offset + size[batch[i]])
        const length = ++packets % 2 === 0 ? 60 : memory.longest
        if (length > 60) u8.fill(2, offset, offset + length)
        size[batch[i]] = length
      }
      tx.transmit(batch, 0, count)
    }
  },
  'sends packets too short for the card, and finds content and length again when the buffers come back': ({
    ports: [{ tx }],
    memory,
    pool,
    batch,
  }) => {
    const { u8, size } = memory
    const made = new Uint8Array(size.length)
    return () => {
      const count = memory.allocate(pool, batch, Math.min(batch.length, tx.room()))
      for (const id of batch.subarray(0, count)) {
        const offset = memory.dataOffset(id)
        if (made[id] === 0) {
          u8.fill(9, offset, offset + 14)
          size[id] = 14
        } else if (u8[offset + 1] !== 9 || size[id] !== 17) throw new Error('it was changed')
        made[id] = 1
      }
      tx.transmit(batch, 0, count)
    }
  },
  'keeps a queue, and empties it when it is to be quiet': ({ ports: [{ rx }], memory, batch }) => {
    const queue: number[] = []
    let most = 40
    return {
      step() {
        const count = rx.receive(batch, batch.length)
        queue.push(...batch.subarray(0, count))
        while (queue.length > most) memory.free(Int32Array.of(queue.shift() ?? 0), 0, 1)
      },
      quiet() {
        most = 0
      },
    }
  },
  'passes on what came in at both ports in one batch':
    ({ ports: [a, b], batch }) =>
    () => {
      const first = a.rx.receive(batch.subarray(0, 4), Math.min(4, a.tx.room()))
      const second = b.rx.receive(batch.subarray(first), Math.min(4, a.tx.room() - first))
      a.tx.transmit(batch, 0, first + second)
    },
}
