/**
 * A WebAssembly memory that contains the DMA arena.
 *
 * WebAssembly code reaches nothing but its own memory. So the arena's file is mapped a second time, into the middle of
 * that memory, over pages that nobody has used: what the card writes then stands both at the arena's address and
 * inside the memory.
 *
 *     0          64 KiB           2 MiB       (page of the arena)
 *     ┌──────────┬────────────────┬ ─ ─ ─ ─ ─ ┬──────────────────────────────┐
 *     │ unused   │ tables         │           │ arena: rings, packet buffers │      never grows
 *     └──────────┴────────────────┴ ─ ─ ─ ─ ─ ┴──────────────────────────────┘
 *
 * V8 reserves the whole range that 32-bit addresses reach, and unmaps it when the memory is collected, the arena's
 * second mapping included.
 */
import { IxyError } from '../errors.ts'
import { addressOf, MAP_FIXED, MAP_POPULATE, MAP_SHARED, mmap } from '../linux/mapping.ts'
import { FIRST_FREE, TABLES_END } from './wasm-layout.ts'

const WASM_PAGE = 65536
/** 4 GiB: what 32-bit addresses reach. */
const MAX_PAGES = 65536

/** The arena as another mapping of it needs it; can be posted to a worker. */
export interface ArenaFile {
  /** Where the process sees it. */
  readonly address: bigint
  readonly bytes: number
  /** What its address and offset in the file must be multiples of. */
  readonly pageBytes: number
  readonly fd: number
}

/** True if the arena fits a WebAssembly memory. */
export function fitsWasm({ bytes, pageBytes }: ArenaFile): boolean {
  return pagesFor(bytes, pageBytes) <= MAX_PAGES
}

/** The memory's own address is only known when its size is: one page more allows any alignment. */
function pagesFor(bytes: number, pageBytes: number): number {
  return Math.ceil((TABLES_END + pageBytes + bytes) / WASM_PAGE)
}

/** To a cache line. */
function roundUp(bytes: number): number {
  return Math.ceil(bytes / 64) * 64
}

function reserve(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages })
  } catch (cause) {
    throw new IxyError(
      'IXY_ERR_SYSTEM',
      'there is no address space for a WebAssembly memory: about 10 GiB, most of it never used',
      'raise the limit (ulimit -v unlimited) or use --backend ts',
      { cause },
    )
  }
}

export class WasmSpace {
  readonly memory: WebAssembly.Memory
  /** The memory's bytes. It is never grown, so they stay where they are. */
  readonly buffer: ArrayBuffer
  private readonly arena: ArenaFile
  /** Where the arena stands in the memory. */
  private readonly arenaAt: number
  private taken = FIRST_FREE

  /** Maps the arena. Its descriptor is not used afterwards. */
  constructor(arena: ArenaFile) {
    const pages = pagesFor(arena.bytes, arena.pageBytes)
    if (pages > MAX_PAGES) {
      throw new IxyError(
        'IXY_ERR_SYSTEM',
        `${Math.ceil(arena.bytes / 2 ** 20)} MiB of DMA memory don't fit a WebAssembly memory of 4 GiB`,
        'use --backend ts, or fewer or smaller rings',
      )
    }
    this.memory = reserve(pages)
    this.buffer = this.memory.buffer
    this.arena = arena
    const start = addressOf(this.buffer)
    const page = BigInt(arena.pageBytes)
    const place = ((start + BigInt(TABLES_END) + page - 1n) / page) * page
    this.arenaAt = Number(place - start)
    mmap(arena.bytes, { address: place, fd: arena.fd, flags: MAP_SHARED | MAP_FIXED | MAP_POPULATE })
  }

  /** Offset in the memory of what the process sees at `address` in the arena. */
  offsetOf(address: bigint): number {
    const offset = Number(address - this.arena.address)
    if (offset < 0 || offset >= this.arena.bytes)
      throw new IxyError('IXY_ERR_INTERNAL', `0x${address.toString(16)} is not in the DMA arena`)
    return this.arenaAt + offset
  }

  /** There is room for pieces of so many bytes each. */
  hasRoomFor(pieces: readonly number[]): boolean {
    return pieces.reduce((end, bytes) => roundUp(end + bytes), this.taken) <= TABLES_END
  }

  /** Gives away zeroed memory in front of the arena; returns its offset, a multiple of a cache line. */
  take(bytes: number): number {
    const at = this.taken
    this.taken = roundUp(at + bytes)
    if (this.taken > TABLES_END)
      throw new IxyError('IXY_ERR_INTERNAL', `no room for ${bytes} bytes in the WebAssembly memory`)
    return at
  }
}
