/**
 * Packet buffers: where they lie and who owns them.
 *
 * A packet is an integer, its **buffer id**. There is no object per packet: everything known of a packet stands in
 * typed arrays indexed by the id (a struct of arrays), so that the hot loops allocate nothing and the collector sees
 * nothing. Each worker has id space, buffers and pools of its own; ids never cross workers.
 *
 *     id        0          1          2          3       …
 *           ┌──────────┬──────────┬──────────┬──────────┬──
 *     u8    │··████████│···███████│····██████│·····█████│      2^bufferShift bytes each
 *           └──────────┴──────────┴──────────┴──────────┴──
 *              ▲ dataOffset(id) = (id << bufferShift) + 64 + ((id & 7) << 6)
 *
 * The data doesn't start at the same place in each buffer: if it did, the first lines of all packets would compete
 * for the same few sets of the CPU's caches. Eight starting points, one cache line apart, cost nothing.
 */
import { IxyError } from '../errors.ts'
import { viewOf } from '../linux/mapping.ts'
import { specialise } from '../specialise.ts'
import { type OffloadsSpec, PacketOffloads, clearing } from './offloads.ts'
import { REFUSALS, type Refusals } from './refusals.ts'
import { FREE_STACK, FREE_TOP, IOVA, MAX_IDS, SIZE } from './wasm-layout.ts'
import { makeWasmFree, type WasmPools } from './wasm-pools.ts'
import { whole } from './whole.ts'
import { WasmSpace } from './wasm-space.ts'

/** Free bytes in front of every packet at least, room for one more header. */
const HEADROOM = 64
/** Bytes that the stagger and the headroom take from a buffer at most. */
const RESERVED = HEADROOM + 7 * 64

/** Everything a thread needs to attach to its packet memory; can be posted to a worker. */
export interface PacketMemorySpec {
  /** Virtual address of buffer 0. Contiguous in the process; devices see it page by page. */
  readonly address: bigint
  /** IOVA of each page of the memory, in order. */
  readonly pageIovas: Float64Array
  /** Bytes per page, a power of two and a multiple of the buffer size. */
  readonly pageBytes: number
  /** Byte offset of `address` in its first page. */
  readonly pageOffset: number
  /** log2 of the bytes from one buffer to the next. */
  readonly bufferShift: number
  /** log2 of the buffers in one pool. */
  readonly poolShift: number
  readonly pools: number
  /** Packets have offloads. */
  readonly offloads?: OffloadsSpec
}

/** log2 of the buffer stride that holds frames of `frameBytes` (without FCS). */
export function bufferShiftFor(frameBytes: number): number {
  return Math.ceil(Math.log2(frameBytes + RESERVED))
}

/** Bytes of DMA memory that a spec with these numbers takes. */
export function packetMemoryBytes(bufferShift: number, poolShift: number, pools: number): number {
  return (pools << poolShift) << bufferShift
}

/**
 * A worker's packet buffers. A packet is an integer, its id; its bytes are `u8[dataOffset(id)]` and on, `size[id]` of them.
 * Views of packets take a memory and an id.
 */
export class PacketMemory {
  /** All buffers of all pools. */
  readonly u8: Uint8Array
  /** Length in bytes of each packet, without FCS. Written by receive, read by transmit. */
  readonly size: Uint16Array
  /**
   * @internal IOVA of each packet's first byte, stored as the *bit pattern* of a 64-bit integer, so that writing an address
   * into a descriptor is a single store. As a number the value is meaningless (a tiny denormal).
   */
  readonly iova: Float64Array
  /** @internal Free ids, one stack per pool: pool p owns the entries from p << poolShift on. */
  readonly freeStack: Uint16Array
  /** @internal Number of free ids of each pool. */
  readonly freeTop: Int32Array
  /**
   * Takes up to `count` buffers out of `pool` into `ids[0…]`: no more than the pool has and the array holds. Returns how
   * many. The caller owns them until it transmits or frees them. A pool that no receive ring takes from gives them back
   * as they were when they were freed: content and `size` are still there.
   *
   * A `count` that is not a number, or less than 1, is none; a fraction counts as the whole number below it. Throws
   * IXY_ERR_BUFFER if there is no such pool.
   */
  readonly allocate: (pool: number, ids: Int32Array, count: number) => number
  /**
   * Gives `ids[from … from + count - 1]` back, each to its own pool, as far as the array goes. The caller must own them,
   * which only --check looks at: a packet freed twice will be given away twice.
   *
   * With a `from` that is no index of the array, or a `count` as in allocate(), nothing is freed. Throws IXY_ERR_BUFFER if
   * one of the ids is no buffer's (then none is freed), and if a pool would get more than it ever had (then it takes what
   * it has room for).
   */
  readonly free: (ids: Int32Array, from: number, count: number) => void
  /** @internal As in the spec. */
  readonly bufferShift: number
  /** @internal */
  readonly poolShift: number
  /** @internal */
  readonly pools: number
  /** Bytes of the longest packet that fits every buffer. */
  readonly longest: number
  /** @internal Where the process sees `u8`, whatever maps it here: for system calls. */
  readonly address: bigint
  /** Checksums, segmentation and VLAN tags that are left to the devices; null unless the app asks for it (`App.offloads`). */
  readonly offloads: PacketOffloads | null
  /** @internal The WebAssembly memory that all of this stands in, null if it stands in memory of its own. */
  readonly space: WasmSpace | null
  /** @internal For a step in WebAssembly; null without such a memory. */
  readonly wasmPools: WasmPools | null

  /**
   * @internal Attaches to the memory, at its own address or where a WebAssembly memory shows it. All ids are free. An ArrayBuffer
   * stands in for the real thing in tests.
   */
  constructor(spec: PacketMemorySpec, place: WasmSpace | ArrayBuffer | null = null) {
    const { bufferShift, poolShift, pools, pageIovas, pageBytes, pageOffset } = spec
    const count = pools << poolShift
    if (count > MAX_IDS)
      throw new IxyError('IXY_ERR_INTERNAL', `${count} packet buffers in one worker: ids have 16 bits`)
    const bytes = count << bufferShift
    this.bufferShift = bufferShift
    this.poolShift = poolShift
    this.pools = pools
    this.address = spec.address
    this.longest = (1 << bufferShift) - RESERVED
    this.space = place instanceof WasmSpace ? place : null
    if (!(place instanceof WasmSpace)) {
      this.u8 = new Uint8Array(place ?? viewOf(spec.address, bytes), 0, bytes)
      this.size = new Uint16Array(count)
      this.iova = new Float64Array(count)
      this.freeStack = new Uint16Array(count)
      // Not on V8's heap (driver/intel/rx-ring.ts).
      this.freeTop = new Int32Array(new ArrayBuffer(pools * 4))
    } else {
      const { buffer } = place
      this.u8 = new Uint8Array(buffer, place.offsetOf(spec.address), bytes)
      this.size = new Uint16Array(buffer, SIZE, count)
      this.iova = new Float64Array(buffer, IOVA, count)
      this.freeStack = new Uint16Array(buffer, FREE_STACK, count)
      this.freeTop = new Int32Array(buffer, FREE_TOP, pools)
    }

    const { allocate, free } = specialise(makePools)(this.freeStack, this.freeTop, poolShift, {
      ...REFUSALS,
      whole,
    })
    this.offloads = spec.offloads === undefined ? null : new PacketOffloads(count, spec.offloads)
    this.allocate = this.offloads === null ? allocate : clearing(allocate, this.offloads)
    const made = this.space === null ? null : makeWasmFree(this.space, poolShift, pools, free)
    this.free = made?.free ?? free
    this.wasmPools = made?.wasmPools ?? null

    const iovaWords = new Uint32Array(this.iova.buffer, this.iova.byteOffset, count * 2)
    for (let id = 0; id < count; id++) {
      const offset = this.dataOffset(id) + pageOffset
      const page = Math.floor(offset / pageBytes)
      const iova = pageIovas[page] + (offset - page * pageBytes)
      iovaWords[id * 2] = iova >>> 0
      iovaWords[id * 2 + 1] = Math.floor(iova / 2 ** 32)
    }
    this.reset()
  }

  /** An array for the ids of a batch, where the rings get at it at once; they copy other arrays. Never freed. */
  batch(length: number): Int32Array {
    if (this.space === null) return new Int32Array(length)
    return new Int32Array(this.space.buffer, this.space.take(length * 4), length)
  }

  /** @internal Makes all ids free. No ring and no app may hold one. */
  reset(): void {
    const { freeStack, poolShift } = this
    this.freeTop.fill(1 << poolShift)
    for (let id = 0; id < freeStack.length; id++) {
      // Low ids on top: a pool that is never emptied touches few buffers, which stay in the cache.
      const base = (id >> poolShift) << poolShift
      freeStack[base + (1 << poolShift) - 1 - (id - base)] = id
    }
  }

  /** Index in `u8` of the first byte of packet `id`. */
  dataOffset(id: number): number {
    return ((id << this.bufferShift) + (HEADROOM + ((id & 7) << 6))) | 0
  }

  /** Makes packet `id` at least `length` bytes long, filled up with zeros. */
  pad(id: number, length: number): void {
    const { u8, size } = this
    if (size[id] >= length) return
    const start = this.dataOffset(id)
    u8.fill(0, start + size[id], start + length)
    size[id] = length
  }

  /** Number of free buffers in `pool`. */
  available(pool: number): number {
    return this.freeTop[pool]
  }
}

interface Pools {
  allocate(pool: number, ids: Int32Array, count: number): number
  free(ids: Int32Array, from: number, count: number): void
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each memory. */
function makePools(
  freeStack: Uint16Array,
  freeTop: Int32Array,
  poolShift: number,
  helpers: Refusals & { whole(n: number): number },
): Pools {
  const { refusePool, refuseStranger, refuseSurplus, whole } = helpers
  const buffers = freeStack.length
  const pools = freeTop.length
  const poolSize = 1 << poolShift

  function allocate(pool: number, ids: Int32Array, count: number): number {
    if (!(pool >= 0 && pool < pools) || (pool | 0) !== pool) refusePool(pool, pools)
    let top = freeTop[pool]
    let taken = count | 0
    if (taken !== count) taken = whole(count)
    const held = ids.length | 0
    if (taken > held) taken = held
    if (taken > top) taken = top
    if (taken <= 0) return 0
    const base = pool << poolShift
    for (let i = 0; i < taken; i++) {
      top = (top - 1) | 0
      ids[i] = freeStack[(base + top) | 0]
    }
    freeTop[pool] = top
    return taken
  }

  function free(ids: Int32Array, from: number, count: number): void {
    let start = from | 0
    if (start !== from) start = whole(from)
    let most = count | 0
    if (most !== count) most = whole(count)
    const held = ((ids.length | 0) - start) | 0
    if (most > held) most = held
    if (start < 0 || most <= 0) return
    const end = (start + most) | 0
    const pool = ids[start] >> poolShift
    if (pool >= 0 && pool < pools) {
      const base = pool << poolShift
      let top = freeTop[pool]
      if (((top + most) | 0) <= poolSize) {
        let strangers = 0
        for (let i = start; i < end; i++) {
          const id = ids[i]
          strangers |= (id >> poolShift) ^ pool
          freeStack[(base + top) | 0] = id
          top = (top + 1) | 0
        }
        if (strangers === 0) {
          freeTop[pool] = top
          return
        }
      }
    }
    freeOneByOne(ids, start, end)
  }

  /** The same for ids of several pools, or for more than a pool has room for. What free() has written is above the tops. */
  function freeOneByOne(ids: Int32Array, from: number, end: number): void {
    for (let i = from; i < end; i++) if (ids[i] >>> 0 >= buffers) refuseStranger('free', ids[i], buffers)
    let surplus = -1
    for (let i = from; i < end; i++) {
      const id = ids[i]
      const pool = id >> poolShift
      if (freeTop[pool] === poolSize) surplus = id
      else freeStack[(pool << poolShift) + freeTop[pool]++] = id
    }
    if (surplus !== -1) refuseSurplus(surplus)
  }

  return { allocate, free }
}
