/** Which CPUs the calling thread runs on. */
import { close, O_RDONLY, open, read } from './file.ts'
import { check, declare, type Pointer } from './libc.ts'
import { MonotonicClock } from './monotonic.ts'

/** Bytes of a cpu_set_t: 1024 CPUs. */
const SET_BYTES = 128

const libcSet = declare<(thread: number, bytes: number, set: Pointer) => number>(
  'int sched_setaffinity(int thread, size_t bytes, const void *set)',
)
const libcGet = declare<(thread: number, bytes: number, set: Pointer) => number>(
  'int sched_getaffinity(int thread, size_t bytes, void *set)',
)

const libcCurrent = declare<() => number>('int sched_getcpu(void)')

const libcYield = declare<() => number>('int sched_yield(void)')

/** Lets another thread have this CPU, if one waits for it. */
export function yieldCpu(): void {
  libcYield()
}

/** The CPU that the calling thread runs on; it may be another at once. */
export function currentCpu(): number {
  return libcCurrent()
}

/** Numbers of the CPUs the calling thread may run on, ascending. */
export function allowedCpus(): number[] {
  const set = new Uint8Array(SET_BYTES)
  check(libcGet(0, SET_BYTES, set), 'sched_getaffinity')
  const cpus: number[] = []
  for (let cpu = 0; cpu < SET_BYTES * 8; cpu++) if ((set[cpu >> 3] >> (cpu & 7)) & 1) cpus.push(cpu)
  return cpus
}

/**
 * Keeps the calling thread (a worker, not the whole process) on these CPUs.
 * Throws RangeError for a number that is no CPU number, LinuxError (EINVAL) if the system has none of them.
 */
export function pinThread(cpus: readonly number[]): void {
  const set = new Uint8Array(SET_BYTES)
  for (const cpu of cpus) {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= SET_BYTES * 8)
      throw new RangeError(`${cpu} is not a CPU number`)
    set[cpu >> 3] |= 1 << (cpu & 7)
  }
  check(libcSet(0, SET_BYTES, set), 'sched_setaffinity', `to CPU ${cpus.join(',')}`)
}

/** Of all threads of the system, how many run or could: "0.70 1.48 2.51 2/234 30779". */
const LOAD_FILE = '/proc/loadavg'
const load = new Uint8Array(64)
const SPACE = 0x20
const ZERO = 0x30
const NINE = 0x39

/** How many threads of the system run or could run, this one included; Infinity if it doesn't say. */
export function runnableThreads(): number {
  let bytes: number
  try {
    const fd = open(LOAD_FILE, O_RDONLY)
    try {
      bytes = read(fd, load)
    } finally {
      close(fd)
    }
  } catch {
    return Infinity
  }
  let at = 0
  for (let spaces = 0; spaces < 3 && at < bytes; at++) if (load[at] === SPACE) spaces++
  let count = 0
  for (; at < bytes && load[at] >= ZERO && load[at] <= NINE; at++) count = 10 * count + load[at] - ZERO
  return count === 0 ? Infinity : count
}

const allowed = new Uint8Array(SET_BYTES)
/** Milliseconds from one look for an idle CPU to the next: two threads that take turns have some ten thousand a second. */
const LOOK_EVERY = 1
const nextLook = new Float64Array(1)
const clock = new MonotonicClock()
/** V8 notes what a function meets from about its eighth turn on. */
const REHEARSALS = 20

/**
 * Leaves the CPU that the calling thread is on to another that could run there, if it may run on others and one of these has nothing
 * to do. The scheduler doesn't part two threads that wake each other on one CPU: each waits for it but for moments. Returns true if
 * the thread has moved, false too if this was asked less than a millisecond ago.
 */
export function leaveCpu(runnable = runnableThreads): boolean {
  clock.read()
  if (clock.last[0] < nextLook[0]) return false
  nextLook[0] = clock.last[0] + LOOK_EVERY
  const cpu = libcCurrent()
  return leave(cpu >> 3, 1 << (cpu & 7), runnable)
}

/** Does all that leaveCpu() may have to do, often enough for V8 to know it, and stays where it is. */
export function rehearseLeaving(): void {
  for (let i = 0; i < REHEARSALS; i++) {
    nextLook[0] = 0
    leaveCpu(() => Infinity)
    leave(0, 0, () => 0)
    runnableThreads()
  }
}

/** The CPU is the one of bit `bit` of byte `at` of the set; 0: it is none, and the set stays as it is. */
function leave(at: number, bit: number, runnable: () => number): boolean {
  if (libcGet(0, SET_BYTES, allowed) < 0) return false
  let count = 0
  for (let i = 0; i < SET_BYTES; i++) for (let bits = allowed[i]; bits !== 0; bits &= bits - 1) count++
  // Two on this CPU, and no more than there are CPUs: one is idle.
  if (count < 2 || runnable() > count) return false
  if ((allowed[at] & bit) !== bit) return false
  allowed[at] ^= bit
  const moved = libcSet(0, SET_BYTES, allowed) === 0
  allowed[at] ^= bit
  libcSet(0, SET_BYTES, allowed)
  return moved
}
