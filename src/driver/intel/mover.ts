/**
 * A forwarder's step in TypeScript, packet by packet: what receive(), touch and transmit() do one after the other, without a batch
 * in between. wasm/move.ts is the same in WebAssembly.
 */
import type { PacketMemory } from '../../memory/packets.ts'
import { specialise } from '../../specialise.ts'
import type { Pass, RxQueue, TxQueue } from '../device.ts'
import { PLAIN_STATUS } from '../doorbell.ts'
import { RX_DD, RX_EOP, TX_PAYLEN_SHIFT, TX_SHORTEST } from './descriptors.ts'

/** A receive ring as its loops see it: rx-ring.ts says what is what. */
export interface RxParts {
  readonly memory: PacketMemory
  readonly pool: number
  readonly words: Uint32Array
  readonly quads: Float64Array
  readonly ids: Uint16Array
  readonly index: Int32Array
  finish(at: number, packets: number, bytes: number): void
}

/** A transmit ring: tx-ring.ts. */
export interface TxParts {
  readonly memory: PacketMemory
  /** Word 2 of a descriptor but for the length. */
  readonly command: number
  readonly words: Uint32Array
  readonly quads: Float64Array
  readonly ids: Uint16Array
  readonly state: Int32Array
  room(): number
  handOver(first: number, last: number, count: number, bytes: number, pool: number): number
}

const sources = new WeakMap<RxQueue, RxParts>()
const targets = new WeakMap<TxQueue, TxParts>()

export function enlistRx(queue: RxQueue, parts: RxParts): void {
  sources.set(queue, parts)
}

export function enlistTx(queue: TxQueue, parts: TxParts): void {
  targets.set(queue, parts)
}

/** As TxQueue.mover: one pass or two. */
export function moverOf(passes: readonly Pass[]): (() => number) | null {
  // Each status would have to be loaded with acquire semantics, which costs more than what is saved.
  if (!PLAIN_STATUS) return null
  const moves = passes.map((pass) => {
    const [from, to] = [sources.get(pass.from), targets.get(pass.to)]
    if (from === undefined || to === undefined || from.memory !== to.memory) return null
    return specialise(makeMove)(from, to, pass, { RX_DD, RX_EOP, TX_PAYLEN_SHIFT, TX_SHORTEST })
  })
  const [first = null, second = null, third] = moves
  if (first === null || third !== undefined) return null
  if (moves.length === 1) return first
  return second === null ? null : specialise(makeBoth)(first, second)
}

/* istanbul ignore next: counters would be foreign names in it */
function makeBoth(there: () => number, back: () => number): () => number {
  return () => there() + back()
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each pass. */
function makeMove(
  source: RxParts,
  target: TxParts,
  { from, to, most, touched }: Pass,
  names: Readonly<Record<'RX_DD' | 'RX_EOP' | 'TX_PAYLEN_SHIFT' | 'TX_SHORTEST', number>>,
): () => number {
  const { RX_DD, RX_EOP, TX_PAYLEN_SHIFT, TX_SHORTEST } = names
  const COMPLETE = RX_DD | RX_EOP
  const { memory, pool, words: rxWords, quads: rxQuads, ids: rxIds, index, finish } = source
  const { command, words: txWords, quads: txQuads, ids: txIds, state, room, handOver } = target
  const { u8, iova, freeStack, freeTop } = memory
  const bottom = pool << memory.poolShift
  const range = memory.longest - TX_SHORTEST
  const rxMask = rxIds.length - 1
  const txMask = txIds.length - 1
  const size = Math.max(0, Math.min(most, rxMask))
  const batch = memory.batch(size)

  /** It stops before a packet about which something is special, and where there is none. */
  return function move(): number {
    const free = room()
    const limit = free < size ? free : size
    let top = freeTop[pool]
    const fast = limit < top ? limit : top
    top = (top + bottom) | 0
    const first = state[0] & txMask
    let target = first
    let last = first
    let at = index[0] & rxMask
    let moved = 0
    let bytes = 0
    while (moved < fast) {
      // Read in this order: the status says that the rest is there.
      const status = rxWords[(at << 2) + 2]
      const length = rxWords[(at << 2) + 3] & 0xffff
      if ((status & COMPLETE) !== COMPLETE || (length - TX_SHORTEST) >>> 0 > range) break
      const id = rxIds[at]
      top = (top - 1) | 0
      const fresh = freeStack[top]
      rxIds[at] = fresh
      rxQuads[at << 1] = iova[fresh]
      rxQuads[(at << 1) + 1] = 0 // clears DD
      if (touched !== null) u8[memory.dataOffset(id) + touched]++
      txIds[target] = id
      txQuads[target << 1] = iova[id]
      txWords[(target << 2) + 2] = command | length
      txWords[(target << 2) + 3] = length << TX_PAYLEN_SHIFT // clears DD
      bytes = (bytes + length) | 0
      last = target
      at = (at + 1) & rxMask
      target = (target + 1) & txMask
      moved = (moved + 1) | 0
    }
    if (moved !== 0) {
      freeTop[pool] = top - bottom
      finish(at, moved, bytes)
      // A receive ring's packets are all of its pool.
      handOver(first, last, moved, bytes, pool)
      if (moved === limit) return moved
    }
    return limit === 0 || (rxWords[(at << 2) + 2] & RX_DD) === 0 ? moved : moved + moveOdd(limit - moved)
  }

  /** The long way: the next packet is to be dropped or filled up, or the pool is empty. */
  function moveOdd(limit: number): number {
    const received = from.receive(batch, limit)
    if (touched !== null) {
      for (let i = 0; i < received; i++) u8[memory.dataOffset(batch[i]) + touched]++
    }
    return to.transmit(batch, 0, received)
  }
}
