/** Which CPUs the calling thread runs on. */
import { check, declare, type Pointer } from './libc.ts'

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
