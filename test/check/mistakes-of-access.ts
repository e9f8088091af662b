/** Packets that are read or written where or when they must not be, and calls with wrong numbers. */
import { type Mistake, mistakesIn } from './rig.ts'

export const ACCESS: readonly Mistake[] = mistakesIn(__filename, {
  'looks at a packet after it was transmitted': [
    'use-after-transmit',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8 } = memory
      let sum = 0
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        tx.transmit(batch, 0, count)
        if (count > 0) sum += u8[memory.dataOffset(batch[0])] // here
        if (sum < 0) throw new Error('never')
      }
    },
  ],
  'adds up lengths after the packets were transmitted': [
    'use-after-transmit',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      let bytes = 0
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        tx.transmit(batch, 0, count)
        for (let i = 0; i < count; i++) bytes += memory.size[batch[i]] // here
        if (bytes < 0) throw new Error('never')
      }
    },
  ],
  'looks at a packet after it was freed': [
    'use-after-free',
    ({ ports: [{ rx }], memory, batch }) => {
      let sum = 0
      return () => {
        const count = rx.receive(batch, batch.length)
        memory.free(batch, 0, count)
        if (count > 0) sum += memory.u8[memory.dataOffset(batch[count - 1]) + 12] // here
        if (sum < 0) throw new Error('never')
      }
    },
  ],
  'changes the length of a packet that is freed': [
    'use-after-free',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        memory.free(batch, 0, count)
        if (count > 0) memory.size[batch[0]] = 64 // here
      },
  ],
  'fills up a packet with zeros that is transmitted': [
    'use-after-transmit',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        tx.transmit(batch, 0, count)
        if (count > 0) memory.pad(batch[0], 128) // here
      },
  ],
  'looks at a packet that nobody has given to it': [
    'not-owned',
    ({ memory }) => {
      let sum = 0
      return () => {
        sum += memory.u8[memory.dataOffset(5)] // here
        if (sum < 0) throw new Error('never')
      }
    },
  ],
  'loops to the end of the batch and not of what has come in': [
    'not-owned',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8 } = memory
      batch.fill(200)
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count > 0) for (const id of batch) u8[memory.dataOffset(id)] = 1 // here
        tx.transmit(batch, 0, count)
      }
    },
  ],
  'loops to <= count': [
    'foreign-id',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8 } = memory
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        for (let i = 0; i <= count && count === 8; i++) u8[memory.dataOffset(batch[i])] = 1 // here
        tx.transmit(batch, 0, count)
      }
    },
  ],
  'takes the index for the id': [
    'use-after-transmit',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8 } = memory
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        for (let i = 0; i < count; i++) u8[memory.dataOffset(i) + 5]++ // here
        tx.transmit(batch, 0, count)
      }
    },
  ],
  'writes to a packet after it was transmitted, by an offset it has kept': [
    'write-after-transmit',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8 } = memory
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        const offset = count > 0 ? memory.dataOffset(batch[0]) : 0
        tx.transmit(batch, 0, count) // here
        if (count > 0) u8[offset + 48]++
      }
    },
  ],
  'writes to a packet polls after it was transmitted': [
    'write-after-transmit',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8 } = memory
      let offset = -1
      let polls = 0
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count > 0 && offset < 0) offset = memory.dataOffset(batch[0])
        tx.transmit(batch, 0, count) // here
        if (offset >= 0 && ++polls === 7) u8[offset + 20] = 0
      }
    },
  ],
  'writes to a packet after it was freed, by an offset it has kept': [
    'write-after-free',
    ({ ports: [{ rx }], memory, batch }) => {
      const { u8 } = memory
      return () => {
        const count = rx.receive(batch, batch.length)
        const offset = count > 0 ? memory.dataOffset(batch[0]) : 0
        memory.free(batch, 0, count) // here
        if (count > 0) u8.fill(0, offset, offset + 14)
      }
    },
  ],
  'writes to a buffer that waits in the receive ring': [
    'write-after-free',
    ({ ports: [{ rx }], memory, batch }) => {
      const { u8 } = memory
      let offset = -1
      let polls = 0
      return () => {
        const count = rx.receive(batch, batch.length)
        if (count > 0 && offset < 0) offset = memory.dataOffset(batch[0])
        memory.free(batch, 0, count) // here
        if (++polls > 40) u8[offset + 300] = 7
      }
    },
  ],
  'writes through a view of its own behind the end of a packet': [
    'out-of-bounds',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const view = new DataView(memory.u8.buffer, memory.u8.byteOffset)
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        for (let i = 0; i < count; i++)
          view.setUint32(memory.dataOffset(batch[i]) + memory.size[batch[i]] - 2, 0xffffffff)
        tx.transmit(batch, 0, count) // here
      }
    },
  ],
  'writes one byte behind the frame': [
    'out-of-bounds',
    ({ ports: [{ rx }, { tx }], memory, batch }) => {
      const { u8, size } = memory
      return () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        for (let i = 0; i < count; i++) u8[memory.dataOffset(batch[i]) + size[batch[i]]] = 0
        tx.transmit(batch, 0, count) // here
      }
    },
  ],
  'writes in front of the frame': [
    'out-of-bounds',
    ({ ports: [{ rx }], memory, batch }) => {
      const { u8 } = memory
      return () => {
        const count = rx.receive(batch, batch.length)
        if (count > 0) u8.set([1, 2, 3, 4], memory.dataOffset(batch[0]) - 4)
        memory.free(batch, 0, count) // here
      }
    },
  ],
  'writes over the end of its buffer': [
    'out-of-bounds',
    ({ ports: [{ tx }], memory, pool, batch }) => {
      const { u8, size } = memory
      return () => {
        const count = memory.allocate(pool, batch, Math.min(1, tx.room()))
        for (let i = 0; i < count; i++) {
          u8.fill(0xff, memory.dataOffset(batch[i]), memory.dataOffset(batch[i]) + 1600)
          size[batch[i]] = 1500
        }
        tx.transmit(batch, 0, count) // here
      }
    },
  ],
  'writes into the buffer after its own': [
    'out-of-bounds',
    ({ memory, pool, batch }) => {
      const { u8 } = memory
      return () => {
        if (memory.allocate(pool, batch, 1) === 0) return // here
        u8[memory.dataOffset(batch[0]) + 2048] = 1
        memory.free(batch, 0, 1)
      }
    },
  ],
  'sends more bytes than a buffer has': [
    'wrong-length',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        for (let i = 0; i < count; i++) memory.size[batch[i]] = 2000
        tx.transmit(batch, 0, count) // here
      },
  ],
  'sends a packet of no bytes': [
    'wrong-length',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        if (count > 0) memory.size[batch[0]] -= memory.size[batch[0]]
        tx.transmit(batch, 0, count) // here
      },
  ],
  'writes a longer packet than it says': [
    'out-of-bounds',
    ({ ports: [{ tx }], memory, pool, batch }) => {
      const frame = new Uint8Array(128).fill(1)
      return () => {
        const count = memory.allocate(pool, batch, Math.min(1, tx.room()))
        for (let i = 0; i < count; i++) {
          memory.u8.set(frame, memory.dataOffset(batch[i]))
          memory.size[batch[i]] = 64
        }
        tx.transmit(batch, 0, count) // here
      }
    },
  ],
  'asks for more packets than the array holds': [
    'wrong-count',
    ({ ports: [{ rx }], memory, batch }) =>
      () =>
        memory.free(batch, 0, rx.receive(batch, batch.length + 1)), // here
  ],
  'transmits more packets than the array holds': [
    'wrong-count',
    ({ ports: [{ rx }, { tx }], batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        tx.transmit(batch, count, batch.length - count + 1) // here
      },
  ],
  'reckons with a number that is none': [
    'wrong-count',
    ({ ports: [{ rx }, { tx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, Math.min(batch.length, tx.room()))
        memory.free(batch, 0, count / 0 - Infinity) // here
      },
  ],
  'allocates from a pool that is not there': [
    'wrong-count',
    ({ memory, pool, batch }) =>
      () =>
        memory.allocate(pool + 1, batch, 1), // here
  ],
  'keeps ids in an array of 16 bits': [
    'wrong-array',
    ({ memory }) => {
      const ids = new Uint16Array(4) as unknown as Int32Array
      return () => memory.free(ids, 0, 1) // here
    },
  ],
  'goes on after a finding': [
    'double-free',
    ({ ports: [{ rx }], memory, batch }) =>
      () => {
        const count = rx.receive(batch, batch.length)
        try {
          memory.free(batch, 0, count)
          memory.free(batch, 0, count) // here
        } catch {
          // As if nothing had been.
        }
      },
  ],
})
