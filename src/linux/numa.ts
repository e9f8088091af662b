/** Memory nodes: on a machine with several, memory and CPUs on the card's own node are closest to it. */
import { declare, check } from './libc.ts'
import { listNames, readText } from './sysfs.ts'

const NODES = 'devices/system/node'

/** Number of the system call on x86-64 and on arm64; the C library has no wrapper. */
const SET_MEMPOLICY: Readonly<Record<string, number>> = { x64: 238, arm64: 237 }
const MPOL_DEFAULT = 0
const MPOL_PREFERRED = 1
const MAX_NODES = 64

const libcSyscall = declare<
  (number: number, mode: number, nodes: BigUint64Array | null, maxNode: number) => number
>('long syscall(long number, int mode, void *nodes, unsigned long max_node)')

/** Numbers of the nodes, ascending: [0] on most machines. */
export function numaNodes(sysfsRoot = '/sys'): number[] {
  return listNames(`${sysfsRoot}/${NODES}`)
    .flatMap((name) => /^node(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** CPUs of a node, ascending. */
export function cpusOfNode(node: number, sysfsRoot = '/sys'): number[] {
  return readCpus(`${sysfsRoot}/${NODES}/node${node}/cpulist`)
}

/** CPUs that the scheduler leaves alone (isolcpus=): no process has them unless it asks for them, though all may. */
export function isolatedCpus(sysfsRoot = '/sys'): number[] {
  return readCpus(`${sysfsRoot}/devices/system/cpu/isolated`)
}

/** `0-3,8` in a file as [0, 1, 2, 3, 8]; [] if there is none. */
function readCpus(path: string): number[] {
  return (readText(path) ?? '')
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first, last = first] = part.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    })
}

/** [0, 1, 2, 3, 8] as `0-3,8`. */
export function formatCpus(cpus: readonly number[]): string {
  const ranges: [first: number, last: number][] = []
  for (const cpu of cpus) {
    const range = ranges[ranges.length - 1]
    if (range !== undefined && cpu === range[1] + 1) range[1] = cpu
    else ranges.push([cpu, cpu])
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',')
}

/** Runs `allocate` with memory of `node` preferred for what the calling thread touches first. */
export function onNode<T>(node: number, allocate: () => T): T {
  const call = SET_MEMPOLICY[process.arch]
  if (call === undefined) return allocate()
  const mask = new BigUint64Array([1n << BigInt(node)])
  check(libcSyscall(call, MPOL_PREFERRED, mask, MAX_NODES + 1), 'set_mempolicy')
  try {
    return allocate()
  } finally {
    libcSyscall(call, MPOL_DEFAULT, null, 0)
  }
}
