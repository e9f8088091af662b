/** The rings as a step in WebAssembly calls them (wasm/ports.ts): from one module to the other, without JavaScript in between. */
import type { WasmSpace } from '../../memory/wasm-space.ts'
import { specialise } from '../../specialise.ts'
import type { RxQueue, TxQueue, WasmPorts } from '../device.ts'
import type { WasmLoops } from './wasm-loops.ts'
import { ringOf } from './wasm-mover.ts'

/** The class Port of wasm/ports.ts as 32-bit words, and which of them say that the card is to be told. */
const PORT_WORDS = 4
const ARMED = 2
const FILLED = 3

/** As TxQueue.wasmPorts. */
export function wasmPorts(
  space: WasmSpace,
  loops: WasmLoops,
  ports: readonly { readonly rx: RxQueue; readonly tx: TxQueue }[],
): WasmPorts | null {
  const rings = ports.map(({ rx, tx }) => ({ rx: ringOf(rx), tx: ringOf(tx) }))
  const length = ports.length * PORT_WORDS
  const words = new Int32Array(space.buffer, space.take(length * 4), length)
  let announce = (): void => undefined
  for (const [i, { rx, tx }] of rings.entries()) {
    if (rx?.loops !== loops || tx?.loops !== loops) return null
    const at = i * PORT_WORDS
    words.set([rx.state, tx.state], at)
    announce = specialise(announcing)(announce, words, at + ARMED, rx.announce)
    announce = specialise(announcing)(announce, words, at + FILLED, tx.announce)
  }
  loops.startPorts(words.byteOffset, ports.length)
  return { receive: loops.receiveAt, room: loops.roomAt, transmit: loops.transmitAt, announce }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Does what `before` does, then tells the card of a ring if words[at] says so. */
function announcing(before: () => void, words: Int32Array, at: number, announce: () => void): () => void {
  return () => {
    before()
    if (words[at] === 0) return
    words[at] = 0
    announce()
  }
}
