/**
 * Closing descriptors that another process has sent. Whoever closes the last one of a file gives its memory back, a third of
 * a second for a GiB, and may have to wait for its file system (FUSE, NFS), which is the sender's to choose. So a thread of
 * libuv's pool does it.
 */
import { declareAsync } from './libc.ts'

const libcClose = declareAsync<[fd: number]>('int close(int fd)')

/** Threads of the pool (four by default) that may be busy with it. */
const AT_ONCE = 2

const queue: { readonly fd: number; readonly owner: BackgroundClose }[] = []
let running = 0

/** Knows how many of its descriptors are still open: whoever takes more of them from a stranger should wait. */
export class BackgroundClose {
  pending = 0

  /** Closes `fd` soon, and keeps nobody waiting. Never throws. */
  close(fd: number): void {
    this.pending++
    queue.push({ fd, owner: this })
    next()
  }
}

function next(): void {
  if (running >= AT_ONCE) return
  const entry = queue.shift()
  if (entry === undefined) return
  running++
  libcClose(entry.fd, () => {
    running--
    entry.owner.pending--
    next()
  })
}

const anybody = new BackgroundClose()

/** Closes `fd` soon, and keeps nobody waiting. Never throws. */
export function closeInBackground(fd: number): void {
  anybody.close(fd)
}

/** Descriptors of all that are still to be closed. */
export function closing(): number {
  return queue.length + running
}
