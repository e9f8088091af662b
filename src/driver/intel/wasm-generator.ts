/** A generator's step in one call of WebAssembly (wasm/generate.ts). */
import { FREE_STACK, FREE_TOP } from '../../memory/wasm-layout.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { WasmSpace } from '../../memory/wasm-space.ts'
import type { Recipe } from '../recipe.ts'
import { TX_SHORTEST } from './descriptors.ts'
import type { WasmLoops } from './wasm-loops.ts'

/** What it needs of a ring: the instance that works on it, where its state is, and what writes its tail register. */
interface GeneratingRing {
  readonly loops: WasmLoops
  readonly state: number
  readonly announce: () => void
}

/** The classes of wasm/generate.ts as 32-bit words. */
const RECIPE_WORDS = 15
const TEMPLATE_WORDS = 2
const FIELD_WORDS = 6

/** By Recipe.family: where stands what the buffers hold, and how many templates there are. The first one is nothing. */
const families = new WeakMap<object, { readonly holds: number; readonly templates: number }>()

/** As TxQueue.generator. null: a template is longer than a buffer holds, or there is no room for all of it. */
export function wasmGenerator(
  space: WasmSpace,
  memory: PacketMemory,
  { loops, state, announce }: GeneratingRing,
  recipe: Recipe,
): ((wanted: number) => number) | null {
  const { templates, turns, fields, family, index, of, pool } = recipe
  const lengths = templates.map(({ length }) => length)
  const fit = lengths.every((length) => length >= TX_SHORTEST && length <= memory.longest)
  const words = RECIPE_WORDS + templates.length * TEMPLATE_WORDS + fields.length * FIELD_WORDS
  const known = families.get(family)
  const holdsBytes = known === undefined ? memory.size.length * 2 : 0
  if (!fit || !space.hasRoomFor([holdsBytes, words * 4, turns.length, ...lengths])) return null

  const { holds, templates: base } = known ?? { holds: space.take(holdsBytes), templates: 1 }
  families.set(family, { holds, templates: base + templates.length })
  const at = space.take(words * 4)
  const templatesAt = at + RECIPE_WORDS * 4
  const fieldsAt = templatesAt + templates.length * TEMPLATE_WORDS * 4
  const copied = (list: ArrayLike<number>): number => {
    const place = space.take(list.length)
    new Uint8Array(space.buffer, place, list.length).set(list)
    return place
  }
  new Int32Array(space.buffer, at, words).set([
    ...[state, pool, FREE_STACK + ((pool << memory.poolShift) << 1), FREE_TOP + (pool << 2), index, of],
    ...[templatesAt, copied(turns), turns.length, index % turns.length, of % turns.length],
    ...[holds, base, fieldsAt, fields.length],
    ...templates.flatMap((frame) => [copied(frame), frame.length]),
    ...fields.flatMap(({ offset, bytes: size, first, count }) => {
      return [offset, size, first, count, index % count, of % count]
    }),
  ])
  const { generate } = loops

  return (wanted) => {
    const made = generate(at, wanted)
    if (made !== 0) announce()
    return made
  }
}
