/**
 * Closing descriptors that another process has sent. Whoever closes the last one of a file gives its memory back, a third of
 * a second for a GiB, and may have to wait for its file system (FUSE, NFS), which is the sender's to choose. So a thread of
 * libuv's pool does it.
 */
import { declareAsync } from './libc.ts'

const libcClose = declareAsync<[fd: number]>('int close(int fd)')

/** Threads of the pool (four by default) that may be busy with it. */
const AT_ONCE = 2

const queue: number[] = []
let running = 0

/** Closes `fd` soon, and without keeping anybody waiting. Never throws. */
export function closeInBackground(fd: number): void {
  queue.push(fd)
  next()
}

/** Descriptors that are still to be closed. */
export function closing(): number {
  return queue.length + running
}

function next(): void {
  if (running >= AT_ONCE) return
  const fd = queue.shift()
  if (fd === undefined) return
  running++
  libcClose(fd, () => {
    running--
    next()
  })
}
