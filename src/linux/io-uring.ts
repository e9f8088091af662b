/**
 * io_uring (io_uring(7)): many reads and writes in one system call. As much of it as drivers need whose reads and writes never wait
 * (RWF_NOWAIT, as io_uring waits by itself where O_NONBLOCK alone is set): all that is submitted is done when the call returns.
 *
 *     submission entries   │ read, slot 0 │ read, slot 1 │ …             64 bytes each, filled in by us
 *     completions          │ slot 0: 60   │ slot 1: -11  │ …             16 bytes each: what read(2) would have returned
 *
 * A ring is made in one thread and worked with in another, by its addresses; it is the maker's to close.
 */
import { close } from './file.ts'
import { check, declare, lastErrno, LinuxError, type Pointer } from './libc.ts'
import { MAP_POPULATE, MAP_SHARED, mmap, munmap, viewOf } from './mapping.ts'
import { Undo } from '../undo.ts'

/** Of every architecture. */
const SYS_IO_URING_SETUP = 425
const SYS_IO_URING_ENTER = 426

/** linux/io_uring.h */
const IORING_OFF_SQ_RING = 0
const IORING_OFF_SQES = 0x1000_0000
const IORING_FEAT_SINGLE_MMAP = 1
const IORING_ENTER_GETEVENTS = 1
export const IORING_OP_READV = 1
export const IORING_OP_WRITEV = 2
/** linux/fs.h */
const RWF_NOWAIT = 8
const SQE_BYTES = 64
const CQE_BYTES = 16
/** struct io_uring_params, as 32-bit words: entries of both queues, flags, thread, idle, features; then two tables of offsets. */
const PARAMS_BYTES = 120
const SQ_ENTRIES = 0
const CQ_ENTRIES = 1
const FEATURES = 5
const SQ_OFFSETS = 10
const CQ_OFFSETS = 20

const libcSetup = declare<(call: number, entries: number, params: Pointer) => number>(
  'long syscall(long call, unsigned int entries, void *params)',
)
const libcEnter = declare<
  (
    call: number,
    fd: number,
    submit: number,
    least: number,
    flags: number,
    mask: number,
    size: number,
  ) => number
>(
  'long syscall(long call, int fd, unsigned int submit, unsigned int least, unsigned int flags, long mask, long size)',
)

/** Where a ring is; can be posted to a worker. */
export interface RingPlace {
  readonly fd: number
  /** Both queues. */
  readonly address: bigint
  readonly bytes: number
  /** The submission entries. */
  readonly entriesAddress: bigint
  /** A power of two. */
  readonly entries: number
  readonly completions: number
  /** In bytes from `address`. */
  readonly sq: { readonly tail: number; readonly array: number }
  readonly cq: { readonly head: number; readonly tail: number; readonly list: number }
}

/** A ring with room for `entries`, a power of two. Throws LinuxError: EPERM, ENOSYS… where it is not allowed or not there. */
export function createRing(entries: number): { place: RingPlace; close: () => void } {
  const params = new Uint32Array(PARAMS_BYTES / 4)
  const fd = check(libcSetup(SYS_IO_URING_SETUP, entries, params), 'io_uring_setup')
  const undo = new Undo()
  undo.push(() => close(fd))
  try {
    // Linux 5.4. Older ones want three mappings, and are asked for none.
    if ((params[FEATURES] & IORING_FEAT_SINGLE_MMAP) === 0) throw new LinuxError('io_uring_setup', 'ENOSYS')
    const [, sqTail, , , , , sqArray] = params.subarray(SQ_OFFSETS)
    const [cqHead, cqTail, , , , cqList] = params.subarray(CQ_OFFSETS)
    const completions = params[CQ_ENTRIES]
    const bytes = Math.max(sqArray + params[SQ_ENTRIES] * 4, cqList + completions * CQE_BYTES)
    const map = (length: number, offset: number): bigint => {
      const address = mmap(length, { fd, offset, flags: MAP_SHARED | MAP_POPULATE })
      undo.push(() => munmap(address, length))
      return address
    }
    const place: RingPlace = {
      fd,
      address: map(bytes, IORING_OFF_SQ_RING),
      bytes,
      entriesAddress: map(params[SQ_ENTRIES] * SQE_BYTES, IORING_OFF_SQES),
      entries: params[SQ_ENTRIES],
      completions,
      sq: { tail: sqTail, array: sqArray },
      cq: { head: cqHead, tail: cqTail, list: cqList },
    }
    // Entry i is always at place i.
    const array = new Uint32Array(viewOf(place.address, bytes), sqArray, place.entries)
    for (let i = 0; i < array.length; i++) array[i] = i
    return { place, close: () => undo.runQuietly() }
  } catch (error) {
    undo.runQuietly()
    throw error
  }
}

/** A ring in the thread that works with it. */
export class Ring {
  private readonly place: RingPlace
  private readonly words: Uint32Array
  private readonly results: Int32Array
  private readonly entries: Uint32Array
  private readonly mask: number
  private readonly completionMask: number
  private readonly tailAt: number
  private readonly headAt: number
  private readonly readyAt: number
  private readonly listAt: number
  private tail: number
  private head: number

  constructor(place: RingPlace) {
    this.place = place
    const memory = viewOf(place.address, place.bytes)
    this.words = new Uint32Array(memory, 0, memory.byteLength >> 2)
    this.results = new Int32Array(this.words.buffer, 0, this.words.length)
    this.entries = new Uint32Array(viewOf(place.entriesAddress, place.entries * SQE_BYTES))
    this.mask = place.entries - 1
    this.completionMask = place.completions - 1
    this.tailAt = place.sq.tail >> 2
    this.headAt = place.cq.head >> 2
    this.readyAt = place.cq.tail >> 2
    this.listAt = place.cq.list >> 2
    this.tail = this.words[this.tailAt]
    this.head = this.words[this.headAt]
  }

  /**
   * readv or writev (`operation`) of the `parts[i]` vectors from vector `first[i]` on, for each i below `count`, which is at most
   * the ring's size. `vectors`: address of vector 0, each of 16 bytes. What each has returned, negative errors included, is in
   * `results` afterwards. They are done in this order. Throws LinuxError.
   */
  run(
    operation: number,
    fd: number,
    vectors: { readonly low: number; readonly high: number },
    first: Uint16Array,
    parts: Uint16Array,
    count: number,
    results: Int32Array,
  ): void {
    const { words, entries, mask, completionMask, listAt } = this
    let tail = this.tail
    for (let i = 0; i < count; i++) {
      const at = (tail & mask) << 4
      tail = (tail + 1) >>> 0
      const low = vectors.low + (first[i] << 4)
      entries[at] = operation
      entries[at + 1] = fd
      // No offset: neither is a TAP seekable, nor is it asked.
      entries[at + 2] = 0
      entries[at + 3] = 0
      entries[at + 4] = low
      entries[at + 5] = vectors.high + (low > 0xffff_ffff ? 1 : 0)
      entries[at + 6] = parts[i]
      entries[at + 7] = RWF_NOWAIT
      entries[at + 8] = i
      entries[at + 9] = 0
      entries[at + 10] = 0
      entries[at + 11] = 0
    }
    this.tail = tail
    Atomics.store(words, this.tailAt, tail)
    this.enter(count)
    let { head } = this
    for (let i = 0; i < count; i++) {
      const at = listAt + ((head & completionMask) << 2)
      results[words[at]] = this.results[at + 2]
      head = (head + 1) >>> 0
    }
    this.head = head
    Atomics.store(words, this.headAt, head)
  }

  /** Returns when all `count` are done. */
  private enter(count: number): void {
    const { words, readyAt, head } = this
    let left = count
    while (left > 0 || (Atomics.load(words, readyAt) - head) >>> 0 < count) {
      const taken = libcEnter(SYS_IO_URING_ENTER, this.place.fd, left, count, IORING_ENTER_GETEVENTS, 0, 0)
      if (taken >= 0) left -= taken
      else {
        const errno = lastErrno()
        if (errno !== 'EINTR' && errno !== 'EAGAIN' && errno !== 'EBUSY')
          throw new LinuxError('io_uring_enter', errno)
      }
    }
  }
}
