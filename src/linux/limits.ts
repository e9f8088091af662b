/** Resource limits of this process. */
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
