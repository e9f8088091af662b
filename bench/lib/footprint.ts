/** What processes take of memory and of processor time, as the kernel counts it. */
import { readFileSync, readdirSync } from 'node:fs'

/** Resident bytes of one process. */
export interface Footprint {
  readonly pid: number
  /** Its own: heaps, stacks, machine code of V8. */
  readonly anonymous: number
  /** Of the program's and its libraries' files, which all processes of one Node.js share. */
  readonly file: number
  /** Of the memory for packets and rings that the program and its virtual NICs share: both count it. */
  readonly shared: number
  /** The same where it comes in huge pages, which the kernel counts apart. */
  readonly huge: number
}

/** Of the process and its children; of one that has ended, nothing. */
export function footprints(pid: number): Footprint[] {
  return processes(pid).flatMap((each) => {
    try {
      const status = readFileSync(`/proc/${each}/status`, 'utf8')
      const bytes = (name: string): number =>
        Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
      const [anonymous, file, shared] = ['RssAnon', 'RssFile', 'RssShmem'].map(bytes)
      return [{ pid: each, anonymous, file, shared, huge: bytes('HugetlbPages') }]
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
