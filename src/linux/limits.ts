/** Resource limits of this process. */
import { readFileSync } from 'node:fs'
import { check, declare, type Pointer } from './libc.ts'

const RLIMIT_MEMLOCK = 8
const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn

const libcGetrlimit = declare<(resource: number, limit: Pointer) => number>(
  'int getrlimit(int resource, void *limit)',
)

/** Bytes this process may lock in memory (the soft limit); Infinity if there is no limit. */
export function lockedMemoryLimit(): number {
  const limit = new BigUint64Array(2)
  check(libcGetrlimit(RLIMIT_MEMLOCK, limit), 'getrlimit')
  return limit[0] === RLIM_INFINITY ? Infinity : Number(limit[0])
}

/** What Linux allows if nobody has changed it. */
const DEFAULT_MAP_COUNT = 65530

/** Memory mappings a process may have (vm.max_map_count). */
export function maxMapCount(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/vm/max_map_count', 'utf8'), 10) || DEFAULT_MAP_COUNT
  } catch {
    return DEFAULT_MAP_COUNT
  }
}
