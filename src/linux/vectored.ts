/** readv and writev, which return what a completion of io_uring says: bytes, or the negative number of an error. */
import { declare, lastErrnoNumber } from './libc.ts'

type Call = (fd: number, vectors: number, count: number) => number

const libcReadv = declare<Call>('long readv(int fd, uintptr_t vectors, int count)')
const libcWritev = declare<Call>('long writev(int fd, uintptr_t vectors, int count)')

/** `vectors`: address of `count` struct iovec. Allocates nothing. */
export const readv: Call = (fd, vectors, count) => resultOf(libcReadv(fd, vectors, count))
export const writev: Call = (fd, vectors, count) => resultOf(libcWritev(fd, vectors, count))

function resultOf(result: number): number {
  return result < 0 ? -lastErrnoNumber() : result
}
