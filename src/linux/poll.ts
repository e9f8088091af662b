/** Waiting for file descriptors. */
import { constants } from 'node:os'
import { declare, lastErrno, LinuxError, type Pointer } from './libc.ts'

export const POLLIN = 0x001
export const POLLOUT = 0x004
export const POLLERR = 0x008
export const POLLHUP = 0x010
export const POLLRDHUP = 0x2000

const libcPoll = declare<(set: Pointer, count: number, timeout: number) => number>(
  'int poll(void *set, unsigned long count, int timeout)',
)
const libcPpoll = declare<(set: Pointer, count: number, time: Pointer, blocked: Pointer) => number>(
  'int ppoll(void *set, unsigned long count, void *time, void *blocked)',
)

/** All signals, as a `sigset_t`. */
const ALL = new BigUint64Array(16).fill(0xffff_ffff_ffff_ffffn)
/** All but those that may end a wait. */
let others = ALL
let look: (interrupted: boolean) => void = () => undefined
/** When every wait that hears signals is over, performance.now(). */
let latest = Infinity

/**
 * A thread that is blocked runs no handler of Node.js, so `action` is called before each wait of this thread in pollOne, and
 * with true when one of `signals` has interrupted it. The handler still runs once the thread is back in its event loop.
 */
export function onSignalInWait(
  signals: readonly NodeJS.Signals[],
  action: (interrupted: boolean) => void,
): void {
  others = ALL.slice()
  for (const signal of signals) others[0] &= ~(1n << BigInt(constants.signals[signal] - 1))
  look = action
}

/**
 * The process has been asked to end: pollOne waits until `time` (performance.now()) at the longest from now on, then it
 * returns 0 as when its time is up. So a server that answers slowly, or not at all, doesn't hold up the end.
 */
export function endWaitsAt(time: number): void {
  latest = time
}

/**
 * A fixed set of descriptors to wait for; reusable, so that waiting allocates nothing.
 * `struct pollfd` is { int fd; short events; short revents }.
 */
export class PollSet {
  readonly #set: Int32Array
  readonly #events: Int16Array
  readonly #count: number
  readonly #hears: boolean

  /**
   * Waits for `events` (POLLIN by default) on each of `fds`. POLLERR and POLLHUP are always reported. `hears` signals, see
   * onSignalInWait() and endWaitsAt(): that takes 0.2 µs more.
   */
  constructor(fds: readonly number[], events = POLLIN, hears = false) {
    this.#count = fds.length
    this.#hears = hears
    this.#set = new Int32Array(fds.length * 2)
    this.#events = new Int16Array(this.#set.buffer)
    fds.forEach((fd, index) => {
      this.#set[index * 2] = fd
      this.#events[index * 4 + 2] = events
    })
  }

  /**
   * Waits until one is ready or `timeout` milliseconds are over (0: only looks; -1 or Infinity: for ever).
   * Returns how many are ready. A signal doesn't end the wait early.
   */
  wait(timeout: number): number {
    const deadline = timeout < 0 ? Infinity : performance.now() + timeout
    let left = timeout < 0 ? Infinity : timeout
    while (true) {
      if (this.#hears) look(false)
      if (this.#hears && latest !== Infinity) left = Math.min(left, Math.max(0, latest - performance.now()))
      const ready = this.#poll(left === Infinity ? -1 : Math.min(Math.ceil(left), 0x7fff_ffff))
      if (ready >= 0) return ready
      const errno = lastErrno()
      if (errno !== 'EINTR') throw new LinuxError('poll', errno)
      if (this.#hears) look(true)
      left = Math.max(0, deadline - performance.now())
    }
  }

  #poll(timeout: number): number {
    if (!this.#hears) return libcPoll(this.#set, this.#count, timeout)
    const seconds = Math.floor(timeout / 1000)
    const time = timeout < 0 ? 0n : Int32Array.of(seconds, 0, (timeout - seconds * 1000) * 1e6, 0)
    return libcPpoll(this.#set, this.#count, time, others)
  }

  /** What the last wait saw at the descriptor with this index: POLLIN, POLLHUP… or 0. */
  events(index: number): number {
    return this.#events[index * 4 + 3]
  }
}

/** Waits for one descriptor; returns its events, 0 after `timeout` milliseconds. See onSignalInWait(), too. */
export function pollOne(fd: number, events: number, timeout: number): number {
  const set = new PollSet([fd], events, true)
  return set.wait(timeout) === 0 ? 0 : set.events(0)
}
