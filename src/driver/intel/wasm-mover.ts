/** A forwarder's step in one call of WebAssembly (wasm/move.ts): at batches of a few packets, calls cost more than all else. */
import type { WasmSpace } from '../../memory/wasm-space.ts'
import { specialise } from '../../specialise.ts'
import type { Pass, RxQueue, TxQueue } from '../device.ts'
import type { WasmLoops } from './wasm-loops.ts'

/** What it needs of a ring. */
interface MovedRing {
  /** The instance that works on it, and where its state is. */
  readonly loops: WasmLoops
  readonly state: number
  readonly entries: number
  /** Writes its tail register. */
  readonly announce: () => void
}

/** Of those whose loops are in WebAssembly. */
const rings = new WeakMap<RxQueue | TxQueue, MovedRing>()

export function enlist(queue: RxQueue | TxQueue, ring: MovedRing): void {
  rings.set(queue, ring)
}

export function ringOf(queue: RxQueue | TxQueue): MovedRing | undefined {
  return rings.get(queue)
}

/** The class Pass of wasm/move.ts as 32-bit words, and which of them says what was moved. */
const PASS_WORDS = 8
const MOVED = 5

/** As TxQueue.mover: one pass or two. */
export function wasmMover(
  space: WasmSpace,
  loops: WasmLoops,
  passes: readonly Pass[],
): (() => number) | null {
  const queues = passes.map(({ from, to }) => [rings.get(from), rings.get(to)])
  const words = new Int32Array(
    space.buffer,
    space.take(passes.length * PASS_WORDS * 4),
    passes.length * PASS_WORDS,
  )
  const doorbells = queues.map(([from, to], i) => {
    if (from?.loops !== loops || to?.loops !== loops) return null
    const { most, touched } = passes[i]
    const size = Math.max(0, Math.min(most, from.entries - 1))
    words.set([from.state, to.state, space.take(size * 4), size, touched ?? -1], i * PASS_WORDS)
    return { at: i * PASS_WORDS + MOVED, armed: from.announce, filled: to.announce }
  })
  const [first = null, second = null, third] = doorbells
  if (first === null || third !== undefined) return null
  if (doorbells.length === 1) return specialise(moveOneWay)(loops.move, words, first)
  return second === null ? null : specialise(moveBothWays)(loops.move, words, first, second)
}

/** What is to be told to the cards after a step. */
interface Doorbells {
  /** Index of the word that says what was moved: packets in the lower half, descriptors in the upper one. */
  readonly at: number
  armed(): void
  filled(): void
}

/* istanbul ignore next: counters would be foreign names in it */
function moveOneWay(
  move: WasmLoops['move'],
  words: Int32Array,
  { at, armed, filled }: Doorbells,
): () => number {
  const passes = words.byteOffset

  return () => {
    if (move(passes, 1) === 0) return 0
    armed()
    const packets = words[at] & 0xffff
    if (packets !== 0) filled()
    return packets
  }
}

/* istanbul ignore next: counters would be foreign names in it */
function moveBothWays(
  move: WasmLoops['move'],
  words: Int32Array,
  there: Doorbells,
  back: Doorbells,
): () => number {
  const passes = words.byteOffset

  return () => {
    let sum: number
    try {
      sum = move(passes, 2)
    } catch (error) {
      // The first direction may be done. Whatever isn't is told what it was told before.
      there.armed()
      there.filled()
      throw error
    }
    if (sum === 0) return 0
    const one = words[there.at]
    if (one !== 0) there.armed()
    if ((one & 0xffff) !== 0) there.filled()
    const other = words[back.at]
    if (other !== 0) back.armed()
    if ((other & 0xffff) !== 0) back.filled()
    return sum & 0xffff
  }
}
