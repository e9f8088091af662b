/**
 * Closing descriptors that another process has sent. Whoever closes the last one of a file gives its memory back, a third of
 * a second for a GiB, and may have to wait for its file system (FUSE, NFS), which is the sender's to choose. So a thread of
 * libuv's pool does it.
 */
import { SYS_CLOSE_RANGE } from './file.ts'
import { declareAsync } from './libc.ts'

const libcClose = declareAsync<[fd: number]>('int close(int fd)')
const libcSyscall = declareAsync<[number: number, first: number, last: number, flags: number]>(
  'long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)',
)

/** Threads of the pool (four by default) that may be busy with it. */
const AT_ONCE = 2

const queue: { readonly fd: number; readonly owner: BackgroundClose }[] = []
let running = 0
/** Descriptors that were given away and are open still. */
let left = 0

/** Knows how many of its descriptors are still open: whoever takes more of them from a stranger should wait. */
export class BackgroundClose {
  pending = 0

  /** Closes `fd` soon, and keeps nobody waiting. Never throws. */
  close(fd: number): void {
    this.pending++
    left++
    queue.push({ fd, owner: this })
    next()
  }
}

/** False once the kernel has refused to close several in one call: it is older than 5.9, or a container's filter is. */
let rangesWork = true

/** The descriptors of a message mostly have consecutive numbers; each call costs this thread 20 µs. */
function next(): void {
  if (running >= AT_ONCE || queue.length === 0) return
  const gap = rangesWork ? queue.findIndex(({ fd }, i) => fd !== queue[0].fd + i) : 1
  const run = queue.splice(0, gap === -1 ? queue.length : gap)
  running++
  const done = (): void => {
    running--
    left -= run.length
    for (const { owner } of run) owner.pending--
    next()
  }
  if (run.length === 1) return libcClose(run[0].fd, done)
  libcSyscall(SYS_CLOSE_RANGE, run[0].fd, run[run.length - 1].fd, 0, (_, result) => {
    if (result === 0) return done()
    rangesWork = false
    queue.unshift(...run)
    running--
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
  return left
}
