/**
 * stdout and stderr, written without ever blocking this thread.
 *
 * What is written is queued and handed to the kernel by one write(2) at a time in a thread of Node's pool. A reader that
 * is slow, stopped (^S) or asleep blocks that thread and nothing else. process.stdout and process.stderr are not used:
 * they block on terminals and files, and make pipes non-blocking for everybody who shares them, such as the shell.
 */
import { fstatSync, write, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { ioctl } from '../../linux/file.ts'
import { POLLERR, POLLHUP, POLLOUT, PollSet } from '../../linux/poll.ts'

/**
 * Bytes of one write: PIPE_BUF, which a pipe takes as one piece or not at all. So lines of several programs don't mix in
 * it, and how much has not arrived is known exactly.
 */
const PIECE = 4096
/** Milliseconds between two tries to write to a descriptor that somebody has made non-blocking. */
const RETRY = 10
/** asm-generic/ioctls.h */
const TIOCGWINSZ = 0x5413

interface Entry {
  readonly outlet: Outlet
  readonly bytes: Buffer
}

/** One of the two, or both if they are one file: then lines keep their order. */
class Queue {
  private readonly entries: Entry[] = []
  private busy = false

  get pending(): boolean {
    return this.busy || this.entries.length > 0
  }

  push(entry: Entry): void {
    this.entries.push(entry)
    this.next()
  }

  private next(): void {
    if (this.busy) return
    let first = this.entries.shift()
    while (first?.outlet.unwritable === true) {
      first.outlet.settle(first.bytes.length)
      first = this.entries.shift()
    }
    if (first === undefined) return
    const { outlet } = first
    const parts = [first.bytes]
    let size = first.bytes.length
    while (this.entries.length > 0 && this.entries[0].outlet === outlet) {
      size += this.entries[0].bytes.length
      if (size > PIECE) break
      parts.push(this.entries[0].bytes)
      this.entries.shift()
    }
    this.busy = true
    this.send(outlet, parts.length === 1 ? first.bytes : Buffer.concat(parts))
  }

  private send(outlet: Outlet, bytes: Buffer): void {
    write(outlet.fd, bytes, 0, Math.min(bytes.length, PIECE), null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.send(outlet, bytes), RETRY)
        return
      }
      if (error !== null) {
        outlet.fail(error)
        outlet.settle(bytes.length)
      } else {
        outlet.settle(written)
        if (written < bytes.length) return this.send(outlet, bytes.subarray(written))
      }
      this.busy = false
      this.next()
    })
  }
}

export class Outlet {
  readonly fd: number
  readonly terminal: boolean
  /** Bytes that the kernel has not taken yet. */
  waiting = 0
  /** Why it can't be written, if it can't. A reader that has gone is no failure. */
  failure: NodeJS.ErrnoException | null = null
  /** Nobody reads it any more: the other end of the pipe, or the terminal, was closed. */
  gone = false
  private readonly queue: Queue
  private readonly whenUnwritable: (() => void)[] = []
  private readonly whenEmpty: (() => void)[] = []
  private readonly flushes: (() => void)[] = []

  /** `partner`, made before, shares the queue if it writes to the same file. */
  constructor(fd: number, partner: Outlet | null) {
    this.fd = fd
    this.terminal = isatty(fd)
    this.queue = partner !== null && sameFile(fd, partner.fd) ? partner.queue : new Queue()
  }

  /** Of the terminal; null if it is none, or one that doesn't know its size. */
  get columns(): number | null {
    return this.size?.columns ?? null
  }

  /** The same with its rows. */
  get size(): { readonly columns: number; readonly rows: number } | null {
    if (!this.terminal) return null
    // struct winsize: rows, columns, and both in pixels. (process.stdout would be told of changes by a signal.)
    const size = new Uint16Array(4)
    try {
      ioctl(this.fd, 'TIOCGWINSZ', TIOCGWINSZ, size)
    } catch {
      // It was closed.
    }
    const [rows, columns] = size
    return columns > 0 && rows > 0 ? { columns, rows } : null
  }

  get unwritable(): boolean {
    return this.gone || this.failure !== null
  }

  /** Writes `text` as soon as possible; kept in memory until then. Dropped if nobody can read it any more. */
  write(text: string): void {
    if (this.unwritable || text === '') return
    const bytes = Buffer.from(text)
    this.waiting += bytes.length
    this.queue.push({ outlet: this, bytes })
  }

  /** The same, unless more than `limit` bytes wait already: returns false then. */
  offer(text: string, limit: number): boolean {
    if (this.waiting > limit) return false
    this.write(text)
    return true
  }

  /** Resolves when nothing waits any more: all is written, or it can't be. */
  flushed(): Promise<void> {
    if (this.waiting === 0) return Promise.resolve()
    return new Promise((resolve) => this.flushes.push(resolve))
  }

  /**
   * Writes `text` before this returns, if that is possible without waiting; returns whether it is. For the last line of a
   * process, which may be that the system gives it no more threads: Node.js has no way to write() then but to abort.
   */
  writeNow(text: string): boolean {
    // A terminal that is stopped (^S) says that it can be written.
    if (this.terminal || this.queue.pending || this.unwritable || text.length > PIECE) return false
    try {
      const set = new PollSet([this.fd], POLLOUT)
      if (set.wait(0) !== 1 || (set.events(0) & (POLLERR | POLLHUP)) !== 0) return false
      writeSync(this.fd, text)
      return true
    } catch {
      // Then nobody learns of it.
      return true
    }
  }

  /** Calls `action` once when it turns out that nobody reads it any more, or that it can't be written. */
  onUnwritable(action: () => void): void {
    this.whenUnwritable.push(action)
  }

  /** Calls `action` every time that all has been written. */
  onEmpty(action: () => void): void {
    this.whenEmpty.push(action)
  }

  /** The queue's: `bytes` no longer wait. */
  settle(bytes: number): void {
    this.waiting -= bytes
    if (this.waiting > 0) return
    for (const resolve of this.flushes.splice(0)) resolve()
    for (const action of this.whenEmpty) action()
  }

  /** The queue's: writing has failed. */
  fail(error: NodeJS.ErrnoException): void {
    const { code } = error
    // A terminal that was closed, or hung up on, answers EIO.
    if (code === 'EPIPE' || code === 'ECONNRESET' || (code === 'EIO' && this.terminal)) this.gone = true
    else this.failure ??= error
    for (const action of this.whenUnwritable.splice(0)) action()
  }
}

function sameFile(a: number, b: number): boolean {
  try {
    const [first, second] = [a, b].map((fd) => fstatSync(fd))
    return first.dev === second.dev && first.ino === second.ino
  } catch {
    return false
  }
}

export const stdout = new Outlet(1, null)
export const stderr = new Outlet(2, stdout)
