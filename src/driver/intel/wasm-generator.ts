/** A generator's step in one call of WebAssembly (wasm/generate.ts). */
import { FREE_STACK, FREE_TOP } from '../../memory/wasm-layout.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import type { Recipe } from '../recipe.ts'
import { TX_SHORTEST } from './descriptors.ts'
import type { WasmLoops } from './wasm-loops.ts'
import { CHUNK, ORDER_PRODUCT, ORDER_RANDOM, ORDER_TURN } from './wasm-recipe.ts'

/** What it needs of a ring: the instance that works on it, where its state is, and what writes its tail register. */
interface GeneratingRing {
  readonly loops: WasmLoops
  readonly state: number
  readonly announce: () => void
}

/** The classes of wasm/generate.ts as 32-bit words. */
const RECIPE_WORDS = 16
const TEMPLATE_WORDS = 5
const FIELD_WORDS = 8
const CHECKSUMS_WORDS = 13
/** Words for each packet of a chunk: three sums, a carry, a template. */
const WORDS_OF_PACKET = 5
const ORDERS = { turn: ORDER_TURN, product: ORDER_PRODUCT, random: ORDER_RANDOM }
/** Where a frame has no such thing. */
const NOWHERE = -1

/** By Recipe.family: where stands what the buffers hold, and how many templates there are. The first one is nothing. */
const families = new WeakMap<object, { readonly holds: number; readonly templates: number }>()

/** As TxQueue.generator. null: a template is longer than a buffer holds, or there is no room for all of it. */
export function wasmGenerator(
  space: WasmSpace,
  memory: PacketMemory,
  { loops, state, announce }: GeneratingRing,
  recipe: Recipe,
): ((wanted: number) => number) | null {
  const { templates, turns, fields, family, index, of, pool, order } = recipe
  const { ip, transport, outer, echoSequence, entropyPort } = recipe
  const lengths = templates.map(({ length }) => length)
  const fit = lengths.every((length) => length >= TX_SHORTEST && length <= memory.longest)
  const words =
    RECIPE_WORDS + CHECKSUMS_WORDS + templates.length * TEMPLATE_WORDS + fields.length * FIELD_WORDS
  const known = families.get(family)
  const holdsBytes = known === undefined ? memory.size.length * 2 : 0
  const pieces = [holdsBytes, words * 4, WORDS_OF_PACKET * CHUNK * 4, turns.length, ...lengths]
  if (!fit || !space.hasRoomFor(pieces)) return null

  const { holds, templates: base } = known ?? { holds: space.take(holdsBytes), templates: 1 }
  families.set(family, { holds, templates: base + templates.length })
  const at = space.take(words * 4)
  const checksumsAt = at + RECIPE_WORDS * 4
  const templatesAt = checksumsAt + CHECKSUMS_WORDS * 4
  const fieldsAt = templatesAt + templates.length * TEMPLATE_WORDS * 4
  const ofPackets = space.take(WORDS_OF_PACKET * CHUNK * 4)
  const [addresses, ports, link, carries, chosen] = [0, 1, 2, 3, 4].map((i) => ofPackets + i * CHUNK * 4)
  const sumsOf = { addresses, transport: ports, link }
  const copied = (list: ArrayLike<number>): number => {
    const place = space.take(list.length)
    new Uint8Array(space.buffer, place, list.length).set(list)
    return place
  }
  const places = [ip?.offset, transport?.offset, echoSequence, entropyPort, outer?.offset]
  const [ipAt, transportAt, echoAt, entropyAt, outerAt] = places.map((place) => place ?? NOWHERE)
  const plain = places.every((place) => (place ?? null) === null) && (order === 'turn' || fields.length === 0)
  new Int32Array(space.buffer, at, words).set([
    ...[state, pool, FREE_STACK + ((pool << memory.poolShift) << 1), FREE_TOP + (pool << 2), index, of],
    ...[templatesAt, copied(turns), turns.length, index % turns.length, of % turns.length],
    ...[holds, base, fieldsAt, fields.length, plain ? 0 : checksumsAt],
    ...[ORDERS[order], addresses, ports, link, carries, chosen, ipAt, transportAt],
    ...[Number(transport?.isUdp), Number(transport?.overAddresses), echoAt, entropyAt, outerAt],
    ...templates.flatMap((frame, i) => [
      ...[copied(frame), frame.length],
      ...[ip, transport, outer].map((checksum) => checksum?.sums[i] ?? 0),
    ]),
    ...fields.flatMap(({ offset, bytes, first, count, digit, step, seed, reach }) => {
      return [offset, bytes, first, count, digit, step, seed, sumsOf[reach]]
    }),
  ])
  const { generate } = loops

  return (wanted) => {
    const made = generate(at, wanted)
    if (made !== 0) announce()
    return made
  }
}
