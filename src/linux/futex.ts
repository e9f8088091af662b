/**
 * Waiting for 32-bit words in memory that processes share (futex(2), futex_waitv(2)). Nobody needs a descriptor of the other's
 * for that, and only the memory counts, not where each has mapped it.
 */
import { constants } from 'node:os'
import { clockGettime } from './monotonic.ts'
import { declare, lastErrno, lastErrnoNumber, type Pointer } from './libc.ts'

const libcWait = declare<
  (number: number, words: Pointer, count: number, flags: number, until: Pointer, clock: number) => number
>('long syscall(long number, void *words, unsigned int count, unsigned int flags, void *until, int clock)')
const libcWake = declare<(number: number, word: bigint, operation: number, count: number) => number>(
  'long syscall(long number, void *word, int operation, unsigned int count)',
)

/** The call has a number of its own on older architectures; later calls have the same on all. */
const SYS_FUTEX = { x64: 202, arm64: 98 }[process.arch as string] ?? -1
const SYS_FUTEX_WAITV = 449
const FUTEX_WAKE = 1
/** Words of 32 bits, not of this process alone. */
const FUTEX2_SIZE_U32 = 2
const CLOCK_MONOTONIC = 1
const ALL = 0x7fff_ffff
const { ETIMEDOUT } = constants.errno

/** struct futex_waitv { u64 value; u64 address; u32 flags; u32 reserved } */
const ENTRY_BYTES = 24

let possible: boolean | undefined

/** Whether this system can wait for words: Linux 5.16, and no filter that refuses it. */
export function canWaitForWords(): boolean {
  if (possible !== undefined) return possible
  // Waiting for none is refused as a mistake, where there is the call.
  const none = new Uint8Array(ENTRY_BYTES)
  possible =
    SYS_FUTEX >= 0 &&
    libcWait(SYS_FUTEX_WAITV, none, 0, 0, none, CLOCK_MONOTONIC) < 0 &&
    lastErrno() === 'EINVAL'
  return possible
}

/** Wakes all who wait for the word at this address, in whatever process. The word should say so already. */
export function wakeWord(address: bigint): void {
  libcWake(SYS_FUTEX, address, FUTEX_WAKE, ALL)
}

/** Some words to wait for at once; reusable, so that waiting allocates nothing. */
export class WordSet {
  private readonly entries: Uint8Array
  private readonly count: number
  /** struct timespec, and its halves. */
  private readonly until = new BigInt64Array(2)
  private readonly halves = new Uint32Array(this.until.buffer)

  /** Waits while each of the words at `addresses` has `value`. */
  constructor(addresses: readonly bigint[], value: number) {
    this.count = addresses.length
    this.entries = new Uint8Array(addresses.length * ENTRY_BYTES)
    const view = new DataView(this.entries.buffer)
    addresses.forEach((address, i) => {
      view.setBigUint64(i * ENTRY_BYTES, BigInt(value), true)
      view.setBigUint64(i * ENTRY_BYTES + 8, address, true)
      view.setUint32(i * ENTRY_BYTES + 16, FUTEX2_SIZE_U32, true)
    })
  }

  /**
   * Waits until wakeWord() is called for one of them, for `milliseconds` (below 1000) at the longest; not at all if one has another value.
   * Returns false if the time was over. A signal ends it early.
   */
  wait(milliseconds: number): boolean {
    const { halves } = this
    clockGettime(CLOCK_MONOTONIC, this.until)
    const nanoseconds = halves[2] + Math.ceil(milliseconds * 1e6)
    const carry = nanoseconds >= 1e9 ? 1 : 0
    halves[0] += carry
    halves[2] = nanoseconds - carry * 1e9
    const result = libcWait(SYS_FUTEX_WAITV, this.entries, this.count, 0, this.until, CLOCK_MONOTONIC)
    return result >= 0 || lastErrnoNumber() !== ETIMEDOUT
  }
}
