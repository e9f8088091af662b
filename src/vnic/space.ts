/**
 * The WebAssembly memory of the virtual NICs of a process. The loops over many frames (wasm/) reach nothing else, so what
 * they work on stands in it: bursts, counters, ledgers, and the memory that clients share, mapped over pages of it.
 *
 *     0    64            an eighth                                                     2 GiB at most
 *     ┌────┬──────────────┬─────────────┬───────────────────────┬ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┐
 *     │    │ tables       │             │ memory of a client    │                            never grows
 *     └────┴──────────────┴─────────────┴───────────────────────┴ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
 *
 * Pages that nobody has touched cost address space only. A client that doesn't fit is mapped elsewhere, as are the single
 * pages of an IOMMU (vfio-user/memory-window.ts), and its frames go the long way, one by one.
 */
import { IxyError } from '../errors.ts'
import {
  addressOf,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  type MapOptions,
  mmap,
} from '../linux/mapping.ts'
import { type Bytes, bytesOver } from '../packet/bytes.ts'

const WASM_PAGE = 65536
/** Offsets stay below 2^31: 32-bit integers for V8. */
const MOST_BYTES = 2 ** 31 - WASM_PAGE
const LEAST_BYTES = 2 ** 26
const CACHE_LINE = 64
/** Alignment of clients' memory, so that huge pages can be mapped. */
const HUGE_PAGE = 2 ** 21
/** Unmapped at once: that takes milliseconds if all of it was touched. */
export const UNMAP_BYTES = 2 ** 25

interface Stretch {
  readonly at: number
  readonly bytes: number
}

export class Space {
  readonly memory: WebAssembly.Memory
  /** All of it. */
  readonly bytes: Bytes
  private readonly address: bigint
  private readonly tablesEnd: number
  private taken = CACHE_LINE
  /** Clients' memory, in order. */
  private readonly mapped: Stretch[] = []

  constructor() {
    this.memory = reserve()
    const { buffer } = this.memory
    this.bytes = bytesOver(buffer)
    this.address = addressOf(buffer)
    this.tablesEnd = buffer.byteLength / 8
  }

  /** Gives away zeroed memory for good; returns its offset, a multiple of a cache line. */
  take(bytes: number): number {
    const at = this.taken
    this.taken = Math.ceil((at + bytes) / CACHE_LINE) * CACHE_LINE
    if (this.taken > this.tablesEnd)
      throw new IxyError('IXY_ERR_INTERNAL', `no room for ${bytes} bytes in the virtual NICs' memory`)
    return at
  }

  /** As take(), as an array. */
  takeInts(count: number): Int32Array {
    return new Int32Array(this.memory.buffer, this.take(count * 4), count)
  }

  /**
   * Maps whole pages of a file; returns the offset where they stand, null if there is no room. Throws LinuxError, so for
   * pages that are larger than HUGE_PAGE.
   */
  map(bytes: number, file: Required<Pick<MapOptions, 'fd' | 'offset' | 'protection'>>): number | null {
    let at = this.aligned(this.tablesEnd)
    let index = 0
    for (; index < this.mapped.length; index++) {
      const next = this.mapped[index]
      if (at + bytes <= next.at) break
      at = this.aligned(next.at + next.bytes)
    }
    if (at + bytes > this.bytes.u8.length) return null
    try {
      mmap(bytes, { ...file, address: this.address + BigInt(at), flags: MAP_SHARED | MAP_FIXED })
    } catch (error) {
      // The kernel may have taken away what was there before it failed: anything could come to stand in the hole.
      this.clear(at, bytes)
      throw error
    }
    this.mapped.splice(index, 0, { at, bytes })
    return at
  }

  /**
   * Takes back what map() has returned, piece by piece, one between two `yield`s. Zeroed memory stands there afterwards: a
   * late access does no harm.
   */
  *unmap(at: number): Generator<void, void> {
    const stretch = this.mapped.find((one) => one.at === at)
    if (stretch === undefined) return
    const { bytes } = stretch
    for (let done = 0; done < bytes; done += UNMAP_BYTES) {
      this.clear(at + done, Math.min(UNMAP_BYTES, bytes - done))
      yield
    }
    this.mapped.splice(this.mapped.indexOf(stretch), 1)
  }

  private clear(at: number, bytes: number): void {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
    mmap(bytes, { address: this.address + BigInt(at), flags })
  }

  private aligned(at: number): number {
    const past = Number((this.address + BigInt(at)) % BigInt(HUGE_PAGE))
    return past === 0 ? at : at + HUGE_PAGE - past
  }
}

/** As much as the system lets us have. */
function reserve(): WebAssembly.Memory {
  for (let bytes = MOST_BYTES; ; bytes = Math.floor(bytes / 2 / WASM_PAGE) * WASM_PAGE) {
    const pages = bytes / WASM_PAGE
    try {
      return new WebAssembly.Memory({ initial: pages, maximum: pages })
    } catch (cause) {
      if (bytes > LEAST_BYTES) continue
      throw new IxyError(
        'IXY_ERR_SYSTEM',
        'there is no address space for the virtual NICs: about 10 GiB, most of it never used',
        'raise the limit (ulimit -v unlimited) or set NODE_OPTIONS=--disable-wasm-trap-handler',
        { cause },
      )
    }
  }
}

let shared: Space | undefined

/** The one of this process. Throws IXY_ERR_SYSTEM. */
export function sharedSpace(): Space {
  shared ??= new Space()
  return shared
}
