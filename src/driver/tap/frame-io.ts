/** Reading and writing frames by the batch. */
import { IORING_OP_READV, IORING_OP_WRITEV } from '../../linux/io-uring.ts'
import { declare, lastErrnoNumber } from '../../linux/libc.ts'

export const READ = IORING_OP_READV
export const WRITE = IORING_OP_WRITEV

/** Does what linux/io-uring.ts says of Ring.run(). */
export interface FrameIo {
  run(
    operation: number,
    fd: number,
    vectors: { readonly low: number; readonly high: number },
    first: Uint16Array,
    parts: Uint16Array,
    count: number,
    results: Int32Array,
  ): void
}

const libcReadv = declare<(fd: number, vectors: number, count: number) => number>(
  'long readv(int fd, uintptr_t vectors, int count)',
)
const libcWritev = declare<(fd: number, vectors: number, count: number) => number>(
  'long writev(int fd, uintptr_t vectors, int count)',
)

/** A system call for each frame, where there is no io_uring. A read that finds nothing is the last. */
export class OneByOne implements FrameIo {
  run(
    operation: number,
    fd: number,
    vectors: { readonly low: number; readonly high: number },
    first: Uint16Array,
    parts: Uint16Array,
    count: number,
    results: Int32Array,
  ): void {
    const call = operation === READ ? libcReadv : libcWritev
    const address = vectors.high * 2 ** 32 + vectors.low
    for (let i = 0; i < count; i++) {
      const result = call(fd, address + first[i] * 16, parts[i])
      results[i] = result < 0 ? -lastErrnoNumber() : result
      if (result < 0 && operation === READ) {
        results.fill(results[i], i, count)
        return
      }
    }
  }
}
