/**
 * Who owns each packet buffer, and what stood in it when it changed hands: the books of --check.
 *
 *              receive()                 transmit()
 *      ┌─────────────────────► app ─────────────────────┐
 *      │         allocate() ▲       │ free()            ▼
 *   receive ring ◄──────── free ◄───┴──────────── transmit ring
 *              (re-armed)        ◄──── (sent)
 *
 * Of every buffer that isn't the app's there is a copy, made when it was given away. The app may not write to it any more, so
 * both stay the same, but for what a card receives. The copy of the app's own buffers shows whether it has written outside of
 * them.
 */
import type { PacketMemory } from '../packets.ts'
import { Copies } from './copies.ts'
import { type Kind, errorOf } from './findings.ts'
import type { Places } from './places.ts'

export const FREE = 0
export const APP = 1
export const RECEIVE_RING = 2
export const TRANSMIT_RING = 3

/** A card may write its cache line full, and the FCS. */
const LINE = 64
const FCS = 4

export class Ledger {
  readonly memory: PacketMemory
  private readonly headerBytes: number
  private readonly fills: boolean
  private readonly places: Places
  private readonly copies: Copies
  private readonly state: Uint8Array
  private readonly uses: Uint32Array
  /** Numbers of places: where the app got a packet, and where it gave it away. */
  private readonly taken: Int32Array
  private readonly given: Int32Array
  /** It was given away by transmit(). */
  private readonly sent: Uint8Array
  /** Bytes of data that were there when the app got it. */
  private readonly extent: Uint16Array
  /** It is in a receive ring and may hold what came in and was dropped. */
  private readonly used: Uint8Array
  /** Buffers that were given away since the last call. */
  private readonly recent: number[] = []
  /** Pools that receive rings take from: nothing in them is of use to anybody. */
  private readonly fed: Uint8Array
  private readonly tops: Int32Array
  /** See OffloadsSpec. */
  private readonly cutPool: number
  private failure: Error | null = null
  private place = -2

  /** `fed`: numbers of the pools that receive rings take from. `headerBytes`, `fills`: as in QueuePair. */
  constructor(memory: PacketMemory, fed: readonly number[], places: Places, headerBytes = 0, fills = false) {
    const { size, pools } = memory
    this.memory = memory
    this.fills = fills
    this.headerBytes = headerBytes
    this.places = places
    this.copies = new Copies(memory)
    this.state = new Uint8Array(size.length)
    this.uses = new Uint32Array(size.length)
    this.taken = new Int32Array(size.length).fill(-1)
    this.given = new Int32Array(size.length).fill(-1)
    this.sent = new Uint8Array(size.length)
    this.extent = new Uint16Array(size.length)
    this.used = new Uint8Array(size.length)
    this.fed = new Uint8Array(pools)
    for (const pool of fed) this.fed[pool] = 1
    this.tops = new Int32Array(pools)
    this.cutPool = memory.offloads?.pool ?? -1
  }

  /** All buffers are free. Before the receive rings are armed. */
  poison(): void {
    this.copies.poison()
  }

  /** What isn't free is in receive rings. After they were armed. */
  open(): void {
    const { freeStack, freeTop, poolShift, pools } = this.memory
    this.state.fill(RECEIVE_RING)
    for (let pool = 0; pool < pools; pool++)
      // What software cuts packets into is no app's, as what is in a receive ring.
      for (let i = 0; i < freeTop[pool] && pool !== this.cutPool; i++)
        this.state[freeStack[(pool << poolShift) + i]] = FREE
  }

  /** Every call of the app's begins with this. */
  begin(): void {
    this.place = -2
    if (this.failure !== null) throw this.failure
    while (this.recent.length > 0) this.verifyAway(this.recent.pop() ?? 0)
    this.tops.set(this.memory.freeTop)
  }

  /** A look at a packet, which is no call. */
  verifyAccess(call: string, id: number): void {
    this.place = -2
    if (this.failure !== null) throw this.failure
    this.verifyOwned(call, id)
  }

  /** The app owns it. `call`: what it does with it. */
  verifyOwned(call: string, id: number): void {
    const { size } = this.memory
    if (!Number.isInteger(id) || id < 0 || id >= size.length)
      this.fail('foreign-id', null, `${call}: ${id} is no packet: ids go from 0 to ${size.length - 1}`)
    const state = this.state[id]
    if (state === APP) return
    if (this.uses[id] === 0 || this.given[id] < 0)
      this.fail('not-owned', id, `${call}: the app has never got it`)
    const sent = this.sent[id] === 1
    const ended = sent ? 'transmitted' : 'freed'
    let kind: Kind = sent ? 'use-after-transmit' : 'use-after-free'
    if (call === 'free') kind = 'double-free'
    if (call === 'transmit' && sent) kind = 'double-transmit'
    this.fail(kind, id, `${call}: it was ${ended}`)
  }

  /** The app has written within it, and its length is what is there. */
  verifyContent(call: string, id: number): void {
    const { memory, extent } = this
    const { longest } = memory
    const size = memory.size[id]
    if (size > longest)
      this.fail('wrong-length', id, `${call}: it is said to have ${size} bytes, its buffer holds ${longest}`)
    if (size === 0 && call === 'transmit') this.fail('wrong-length', id, `${call}: it is empty`)
    const data = memory.dataOffset(id)
    const start = id << memory.bufferShift
    const end = (id + 1) << memory.bufferShift
    const reach = data + Math.max(size, extent[id])
    if (!this.copies.same(start, data))
      this.fail('out-of-bounds', id, `${call}: there are bytes written before its begin`)
    if (!this.copies.same(data + longest, end))
      this.fail('out-of-bounds', id, `${call}: there are bytes written behind its buffer`)
    if (!this.copies.same(reach, end))
      this.fail('out-of-bounds', id, `${call}: there are bytes written behind its end, at ${reach - data}`)
  }

  /** A free buffer goes to the app. */
  take(id: number): void {
    this.verifyAway(id)
    this.own(id, 0)
  }

  /** A packet that has come in goes to the app. */
  takeReceived(id: number): void {
    const { memory } = this
    const data = memory.dataOffset(id)
    const length = memory.size[id] + FCS
    const end = (id + 1) << memory.bufferShift
    const reach = this.fills ? end : Math.min(end, data + Math.ceil(length / LINE) * LINE)
    if (
      this.used[id] === 0 &&
      !(this.copies.same(id << memory.bufferShift, data - this.headerBytes) && this.copies.same(reach, end))
    )
      this.failWritten(id)
    this.used[id] = 0
    this.copies.seal(id)
    this.own(id, memory.size[id])
  }

  /** The app gives it away: `state` is FREE or TRANSMIT_RING. */
  give(id: number, state: number): void {
    this.state[id] = state
    this.sent[id] = state === TRANSMIT_RING ? 1 : 0
    this.given[id] = this.here()
    if (state === FREE && this.fed[id >> this.memory.poolShift] === 1) this.copies.wipe(id)
    this.copies.seal(id)
    this.recent.push(id)
  }

  /** Those that rings have given to pools since begin(). Puts them at the bottom, so that they are long out of use. */
  settle(): void {
    const { freeStack, freeTop, poolShift, pools } = this.memory
    for (let pool = 0; pool < pools; pool++) {
      const before = this.tops[pool]
      const more = freeTop[pool] - before
      if (more <= 0 || pool === this.cutPool) continue
      const base = pool << poolShift
      const fresh = freeStack.slice(base + before, base + before + more)
      for (const id of fresh) {
        if (this.state[id] === FREE) continue
        this.verifyAway(id)
        this.state[id] = FREE
        if (this.fed[pool] === 1) this.copies.wipe(id)
        this.copies.seal(id)
      }
      freeStack.copyWithin(base + more, base, base + before)
      freeStack.set(fresh, base)
      this.tops[pool] = freeTop[pool]
    }
  }

  /** Looks at the free buffers of `pool` that a receive ring is about to take, `count` at most; returns them. */
  aboutToBeArmed(pool: number, count: number): Uint16Array {
    const { freeStack, poolShift } = this.memory
    const top = this.tops[pool]
    const base = pool << poolShift
    const next = freeStack.slice(base + Math.max(0, top - count), base + top)
    for (const id of next) this.verifyAway(id)
    return next
  }

  /** Of those, the ones that are in the receive ring now. Packets that it has dropped are in the pool. */
  armed(pool: number, next: Uint16Array): void {
    const { freeStack, freeTop, poolShift } = this.memory
    const base = pool << poolShift
    const from = base + this.tops[pool] - next.length
    for (const id of next) this.state[id] = RECEIVE_RING
    for (const id of freeStack.subarray(from, base + freeTop[pool])) {
      this.state[id] = FREE
      if (next.includes(id)) continue
      this.copies.wipe(id)
      this.copies.seal(id)
    }
  }

  /** The receive ring of `pool` has dropped something, and given the buffer to the card again. */
  dropped(pool: number): void {
    const { poolShift } = this.memory
    for (let id = pool << poolShift; id < (pool + 1) << poolShift; id++)
      if (this.state[id] === RECEIVE_RING) this.used[id] = 1
  }

  /** The end of the run: nothing may be the app's any more. */
  close(): void {
    this.begin()
    this.place = -1
    for (let id = 0; id < this.state.length; id++) this.verifyAway(id)
    const held = [...this.state.keys()].filter((id) => this.state[id] === APP)
    if (held.length === 0) return
    const [first] = held
    const places = new Map<number, number>()
    for (const id of held) places.set(this.taken[id], (places.get(this.taken[id]) ?? 0) + 1)
    const list = [...places].map(([place, count]) => `${count} from ${this.places.nameOf(place) ?? 'ixy-ts'}`)
    this.place = this.taken[first]
    this.fail('leak', first, `${held.length} in all, neither freed nor transmitted: ${list.join(', ')}`)
  }

  fail(kind: Kind, packet: number | null, what: string): never {
    const nameOf = (place: number | undefined): string | null => this.places.nameOf(place ?? -1)
    const id = packet ?? -1
    const given = packet !== null && this.state[packet] !== APP
    const finding = {
      kind,
      packet,
      use: this.uses[id] ?? 0,
      at: nameOf(this.here()),
      takenAt: nameOf(this.taken[id]),
      givenAt: given ? nameOf(this.given[id]) : null,
    }
    const { takenAt, givenAt } = finding
    const history = [
      givenAt === null || kind.startsWith('write-') ? '' : ` at ${givenAt}`,
      takenAt === null || kind === 'leak' ? '' : `, got at ${takenAt}`,
    ].join('')
    const subject = packet === null ? '' : `packet ${packet}, use ${finding.use}: `
    this.failure = errorOf(finding, `${subject}${what}${history}`)
    throw this.failure
  }

  /** What isn't the app's and isn't being received into is as it was when it was given away. */
  private verifyAway(id: number): void {
    const state = this.state[id]
    if (state !== FREE && state !== TRANSMIT_RING) return
    const { bufferShift } = this.memory
    if (!this.copies.same(id << bufferShift, (id + 1) << bufferShift)) this.failWritten(id)
  }

  private failWritten(id: number): never {
    const { memory } = this
    const data = memory.dataOffset(id)
    const end = (id + 1) << memory.bufferShift
    const at = this.copies.difference(id << memory.bufferShift, end)
    const before = this.places.nameOf(this.here())
    const ending = `written to at byte ${at - data}${before === null ? '' : `, before ${before}`}`
    if (this.given[id] < 0) this.fail('out-of-bounds', id, `it isn't the app's, but was ${ending}`)
    this.place = this.given[id]
    if (this.sent[id] === 1) this.fail('write-after-transmit', id, `transmitted there, then ${ending}`)
    this.fail('write-after-free', id, `freed there, then ${ending}`)
  }

  private own(id: number, extent: number): void {
    this.state[id] = APP
    this.uses[id]++
    this.taken[id] = this.here()
    this.extent[id] = extent
  }

  private here(): number {
    if (this.place === -2) this.place = this.places.here()
    return this.place
  }
}
