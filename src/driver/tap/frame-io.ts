/** Reading and writing frames by the batch. */
import { IORING_OP_READV, IORING_OP_WRITEV, type Ring } from '../../linux/io-uring.ts'
import { readv, writev } from '../../linux/vectored.ts'

export const READ = IORING_OP_READV
export const WRITE = IORING_OP_WRITEV

/** Does what is said of Ring.run(). */
export type FrameIo = Pick<Ring, 'run'>

/** A system call for each frame, where there is no io_uring. A read that finds nothing is the last. */
export class OneByOne implements FrameIo {
  readonly run: Ring['run'] = (operation, fd, vectors, first, parts, count, results) => {
    const call = operation === READ ? readv : writev
    const address = vectors.high * 2 ** 32 + vectors.low
    for (let i = 0; i < count; i++) {
      results[i] = call(fd, address + first[i] * 16, parts[i])
      if (results[i] < 0 && operation === READ) {
        results.fill(results[i], i, count)
        return
      }
    }
  }
}
