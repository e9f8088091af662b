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
/** The same if none was idle, as beside other work: a look takes some 10 µs. */
const LOOK_BUSY = 10
/** Milliseconds that a yield may take on a CPU which only two threads want: the other's turn. */
const TURN = 1
/** For so long nobody yields again where others want the CPU as well: Linux takes from who yields what was left of its time slice. */
const NO_YIELD = 20

/** When to look next whether CPUs are scarce, and whether they were (0 or 1); when to leave a CPU next, and to yield; bits of no CPU. */
const LOOK = 0
const SCARCE = 1
const MOVE = 2
const YIELD = 3
const STAYS = 4
const marks = new Float64Array(5)
/** Of all CPUs: nobody goes anywhere. */
const ALL = 0xff
const clock = new MonotonicClock()
/** V8 notes what a function meets from about its eighth turn on. */
const REHEARSALS = 20

/** Whether more threads want to run than there are CPUs for the calling one. */
export function cpusAreScarce(runnable = runnableThreads): boolean {
  clock.read()
  if (clock.last[0] >= marks[LOOK]) {
    marks[SCARCE] = runnable() <= allowedCount() ? 0 : 1
    marks[LOOK] = clock.last[0] + (marks[SCARCE] === 0 ? LOOK_EVERY : LOOK_BUSY)
  }
  return marks[SCARCE] !== 0
}

/**
 * Leaves the CPU that the calling thread is on to another that could run there, if it may run on others and one of these has nothing
 * to do. The scheduler doesn't part two threads that wake each other on one CPU: each waits for it but for moments. Returns true if
 * the thread has moved, false too if this was asked less than a millisecond ago.
 */
export function leaveCpu(runnable = runnableThreads): boolean {
  clock.read()
  if (clock.last[0] < marks[MOVE]) return false
  marks[MOVE] = clock.last[0] + LOOK_EVERY
  // Two on this CPU, and no more than there are CPUs: one is idle.
  return !cpusAreScarce(runnable) && moveAway()
}

/**
 * Lets the thread that this one takes turns with have their CPU, which is cheaper than to sleep and to be woken; false if others want that CPU,
 * too, as a yield has told that took long. Then, if it `moves`, this thread goes to another CPU: there each of the two gets a share,
 * here both get what one gets.
 */
export function giveWay(moves: boolean, turn = TURN): boolean {
  clock.read()
  const before = clock.last[0]
  if (before < marks[YIELD]) return false
  libcYield()
  clock.read()
  if (clock.last[0] - before > turn) {
    marks[YIELD] = clock.last[0] + NO_YIELD
    if (moves) moveAway()
  }
  return true
}

/** Does all that the functions above may have to do, often enough for V8 to know it, and stays where it is. */
export function rehearseLeaving(): void {
  for (let i = 0; i < REHEARSALS; i++) {
    const even = (i & 1) === 0
    pretendScarce(!even)
    marks[LOOK] = 0
    if ((i & 2) === 0) leaveCpu(() => (even ? 0 : Infinity))
    else cpusAreScarce()
    // As if the other's turn had been long; and again at once.
    giveWay((i & 4) === 0, -1)
    giveWay(false)
  }
}

/** For a rehearsal: how the functions above find the CPUs, until forgetCpus(). The thread stays on its own. */
export function pretendScarce(scarce: boolean): void {
  marks[LOOK] = Infinity
  marks[SCARCE] = scarce ? 1 : 0
  marks[MOVE] = 0
  marks[YIELD] = scarce ? Infinity : 0
  marks[STAYS] = ALL
}

export function forgetCpus(): void {
  marks.fill(0)
}

/** Lets the thread go on on another CPU, if it may. */
function moveAway(): boolean {
  const cpu = libcCurrent()
  return move(cpu >> 3, (1 << (cpu & 7)) & ~marks[STAYS])
}

/** Lets the thread go on on another CPU than that of bit `bit` of byte `at` of the set, if it may. 0: it is none, and the set stays as it is. */
function move(at: number, bit: number): boolean {
  if (allowedCount() < 2 || (allowed[at] & bit) !== bit) return false
  allowed[at] ^= bit
  const moved = libcSet(0, SET_BYTES, allowed) === 0
  allowed[at] ^= bit
  libcSet(0, SET_BYTES, allowed)
  return moved
}

/** How many CPUs the calling thread may run on; notes which. */
function allowedCount(): number {
  if (libcGet(0, SET_BYTES, allowed) < 0) return 0
  let count = 0
  for (let i = 0; i < SET_BYTES; i++) for (let bits = allowed[i]; bits !== 0; bits &= bits - 1) count++
  return count
}
