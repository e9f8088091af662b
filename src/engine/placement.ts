/** Which CPUs the workers run on, and where their memory is. */
import { cpusOfNode, numaNodes, onNode } from '../linux/numa.ts'

export interface Placement {
  /** CPUs for the workers in order; [] leaves them to the scheduler. */
  readonly cpus: readonly number[]
  /** The node whose memory to prefer; null: whichever. */
  readonly node: number | null
  /** What is not as good as it could be, one line each. */
  readonly warnings: readonly string[]
}

/**
 * Puts workers and memory on the first card's node, where the system has several nodes and the user has not said
 * otherwise. `devices`: name and node (-1: unknown) of each.
 */
export function place(
  devices: readonly { readonly name: string; readonly numaNode: number }[],
  cpus: readonly number[],
  sysfsRoot = '/sys',
): Placement {
  const known = devices.filter(({ numaNode }) => numaNode >= 0)
  if (known.length === 0 || numaNodes(sysfsRoot).length < 2) return { cpus, node: null, warnings: [] }
  const node = known[0].numaNode
  const near = cpusOfNode(node, sysfsRoot)
  const warnings = known
    .filter(({ numaNode }) => numaNode !== node)
    .map(
      ({ name, numaNode }) =>
        `${name} is on NUMA node ${numaNode}, ${known[0].name} on node ${node}: packets cross between them`,
    )
  const far = cpus.filter((cpu) => !near.includes(cpu))
  if (far.length > 0) {
    warnings.push(
      `--cpus ${far.join(',')}: not on NUMA node ${node} of ${known[0].name} (its CPUs: ${near.join(',')})`,
    )
  }
  return { cpus: cpus.length > 0 ? cpus : near, node, warnings }
}

/** Runs `allocate` with memory of the node preferred. */
export function allocateAt<T>({ node }: Placement, allocate: () => T): T {
  return node === null ? allocate() : onNode(node, allocate)
}
