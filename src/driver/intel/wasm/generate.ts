/**
 * AssemblyScript, compiled to WebAssembly: a generator's step (../wasm-generator.ts). Buffers go from the pool's stack into the ring, and
 * what differs from packet to packet is written into them on the way.
 */
import { CHUNK } from '../wasm-recipe'
import { IOVA, SIZE } from '../../../memory/wasm-layout'
import { bufferShift, buffersAt, HEADROOM, ofPacket } from './buffers'
import { Checksums, Field, Template } from './fields'
import { TxRing } from './tx-ring'

/** Packets that are made together. */
const GROUP = 4
/** What is made, and for which ring. ../wasm-generator.ts writes it. */
@unmanaged
class Recipe {
  ring: TxRing
  pool: u32
  /** The pool's stack of free ids, and the number of them. */
  stack: usize
  top: usize
  /** Of the next packet, and how far it goes on. */
  number: u32
  step: u32
  /** Templates, one behind the other. */
  templates: usize
  /** A byte for each turn: the index of its template. */
  turns: usize
  period: i32
  turn: i32
  turnStep: i32
  /** For each buffer 16 bits: `base` and the index of the template that it holds. */
  holds: usize
  base: u32
  fields: usize
  fieldCount: i32
  /** Where fields do not just go on by turn, and where checksums depend on them; 0: nowhere. */
  checksums: usize

  @inline
  template(index: usize): Template {
    return changetype<Template>(this.templates + index * offsetof<Template>())
  }

  /** The length of the last packet made. */
  @inline
  get lastLength(): u32 {
    const before = this.turn - this.turnStep
    return this.template(load<u8>(this.turns + (before < 0 ? before + this.period : before))).length
  }
}

/** Makes up to `wanted` packets and fills descriptors for them; returns how many. */
export function generate(recipe: Recipe, wanted: i32): i32 {
  const ring = recipe.ring
  const first = ring.index
  const count = min(min(ring.room(), wanted), load<i32>(recipe.top))
  if (count <= 0) return 0
  let bytes: u32 = 0
  for (let left = count, at = first; left > 0;) {
    const some = min(min(left, CHUNK), ring.mask + 1 - at)
    bytes += make(recipe, at, some)
    at = (at + some) & ring.mask
    left -= some
  }
  ring.goOn(count, bytes)
  ring.close(first, recipe.lastLength, recipe.pool)
  return count
}

/** The same for a chunk, from descriptor `at` on. Returns the packets' bytes. */
function make(recipe: Recipe, at: i32, count: i32): u32 {
  const number = recipe.number
  const slot = recipe.ring.ids + ((<usize>at) << 1)
  if (recipe.checksums !== 0) {
    const bytes = makeInTurn(recipe, at, count, changetype<Checksums>(recipe.checksums).chosen)
    const checksums = changetype<Checksums>(recipe.checksums)
    checksums.write(recipe.fields, recipe.fieldCount, slot, count, number, recipe.step)
    return bytes
  }
  const bytes = recipe.period === 1 ? makeEqual(recipe, at, count) : makeInTurn(recipe, at, count, 0)
  let field = recipe.fields
  for (let left = recipe.fieldCount; left > 0; left--, field += offsetof<Field>())
    changetype<Field>(field).goOn(slot, count)
  return bytes
}

/** Of one length. */
function makeEqual(recipe: Recipe, at: i32, count: i32): u32 {
  const ring = recipe.ring
  const template = recipe.template(0)
  const command = template.command
  const numberAt = template.numberAt
  const shift = bufferShift
  const holds = recipe.holds
  const base = recipe.base
  const step = recipe.step
  let number = recipe.number
  let descriptor = ring.descriptors + ((<usize>at) << 4)
  let slot = ring.ids + ((<usize>at) << 1)
  const top = load<i32>(recipe.top)
  let free = recipe.stack + ((<usize>top) << 1)
  store<i32>(recipe.top, top - count)
  let left = count
  for (; left >= GROUP; left -= GROUP) {
    free -= GROUP * 2
    const ids = load<u64>(free)
    store<u64>(slot, ids)
    const a: usize = <usize>(ids & 0xffff)
    const b: usize = <usize>((ids >> 16) & 0xffff)
    const c: usize = <usize>((ids >> 32) & 0xffff)
    const d: usize = <usize>(ids >> 48)
    const others =
      ((<u32>load<u16>(holds + (a << 1))) ^ base) |
      ((<u32>load<u16>(holds + (b << 1))) ^ base) |
      ((<u32>load<u16>(holds + (c << 1))) ^ base) |
      ((<u32>load<u16>(holds + (d << 1))) ^ base)
    if (others !== 0) {
      hold(recipe, a, 0)
      hold(recipe, b, 0)
      hold(recipe, c, 0)
      hold(recipe, d, 0)
    }
    store<u32>(ofPacket(numberAt, shift, a), number)
    number += step
    store<u32>(ofPacket(numberAt, shift, b), number)
    number += step
    store<u32>(ofPacket(numberAt, shift, c), number)
    number += step
    store<u32>(ofPacket(numberAt, shift, d), number)
    number += step
    describe(descriptor, a, command)
    describe(descriptor + 16, b, command)
    describe(descriptor + 32, c, command)
    describe(descriptor + 48, d, command)
    descriptor += GROUP * 16
    slot += GROUP * 2
  }
  for (; left > 0; left--) {
    free -= 2
    const id: usize = load<u16>(free)
    store<u16>(slot, id)
    hold(recipe, id, 0)
    store<u32>(ofPacket(numberAt, shift, id), number)
    number += step
    describe(descriptor, id, command)
    descriptor += 16
    slot += 2
  }
  recipe.number = number
  return <u32>count * template.length
}

/** Of lengths that take turns. The template of each is written to `chosen`, unless that is 0. */
function makeInTurn(recipe: Recipe, at: i32, count: i32, chosen: usize): u32 {
  const ring = recipe.ring
  const shift = bufferShift
  const turns = recipe.turns
  const period = recipe.period
  const turnStep = recipe.turnStep
  const step = recipe.step
  let number = recipe.number
  let turn = recipe.turn
  let descriptor = ring.descriptors + ((<usize>at) << 4)
  let slot = ring.ids + ((<usize>at) << 1)
  const top = load<i32>(recipe.top)
  let free = recipe.stack + ((<usize>top) << 1)
  store<i32>(recipe.top, top - count)
  let sum: u32 = 0
  for (; count > 0; count--) {
    free -= 2
    const id: usize = load<u16>(free)
    store<u16>(slot, id)
    const index: usize = load<u8>(turns + turn)
    hold(recipe, id, index)
    const template = recipe.template(index)
    store<u32>(ofPacket(template.numberAt, shift, id), number)
    describe(descriptor, id, template.command)
    if (chosen !== 0) {
      store<u32>(chosen, <u32>changetype<usize>(template))
      chosen += 4
    }
    sum += template.length
    number += step
    turn += turnStep
    if (turn >= period) turn -= period
    descriptor += 16
    slot += 2
  }
  recipe.number = number
  recipe.turn = turn
  return sum
}

/** Copies a template into buffer `id`, unless it is there. */
function hold(recipe: Recipe, id: usize, index: usize): void {
  if (<u32>load<u16>(recipe.holds + (id << 1)) !== recipe.base + <u32>index) copy(recipe, id, index)
}

function copy(recipe: Recipe, id: usize, index: usize): void {
  const template = recipe.template(index)
  store<u16>(recipe.holds + (id << 1), recipe.base + <u32>index)
  store<u16>(id << 1, template.length, SIZE)
  memory.copy(ofPacket(buffersAt + HEADROOM, bufferShift, id), template.bytes, template.length)
}

/** Of packet `id`. */
function describe(descriptor: usize, id: usize, command: u64): void {
  v128.store(descriptor, i64x2.replace_lane(v128.load_zero<u64>(id << 3, IOVA), 1, command)) // clears DD
}
