/** What processes take of memory and of processor time, as the kernel counts it. */
import { readFileSync, readdirSync } from 'node:fs'

/** Resident bytes of one process. */
export interface Footprint {
  readonly pid: number
  /** Its own: heaps, stacks, machine code of V8. */
  readonly anonymous: number
  /** Of the program's and its libraries' files, which all processes of one Node.js share. */
  readonly file: number
  /**
   * Its part of the memory for packets and rings, which is mapped by the program, by each of its workers and by its virtual NICs: all
   * parts together are what there is of it. (RSS counts a page as often as it is mapped.)
   */
  readonly shared: number
  /** The same where it comes in huge pages, which the kernel counts apart, as often as they are mapped. */
  readonly huge: number
}

/** Of the process and its children; of one that has ended, nothing. */
export function footprints(pid: number): Footprint[] {
  return processes(pid).flatMap((each) => {
    try {
      const status = readFileSync(`/proc/${each}/status`, 'utf8')
      const shares = readFileSync(`/proc/${each}/smaps_rollup`, 'utf8')
      const bytes = (text: string, name: string): number =>
        Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024
      const [anonymous, file] = ['RssAnon', 'RssFile'].map((name) => bytes(status, name))
      const shared = bytes(shares, 'Pss_Shmem')
      return [{ pid: each, anonymous, file, shared, huge: bytes(status, 'HugetlbPages') }]
    } catch {
      return []
    }
  })
}

/** All that is resident of a process but huge pages. */
export function resident({ anonymous, file, shared }: Footprint): number {
  return anonymous + file + shared
}

/** The process and its children. */
export function processes(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number))]
}

/** Seconds on a processor of each thread of a process, the first one first (schedstat: nanoseconds). */
export function threadSeconds(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .sort((a, b) => a - b)
    .map(
      (thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e9,
    )
}
