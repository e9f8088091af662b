/** What costs a run speed or evenness, whatever its devices. */
import path from 'node:path'
import { cpusOfNode, formatCpus as shown, isolatedCpus, numaNodes } from '../../linux/numa.ts'
import { listNames, readNumber, readText } from '../../linux/sysfs.ts'
import { bootWith } from './boot.ts'
import { type Finding, type Machine, ok, warn } from './finding.ts'

const CPUS = 'devices/system/cpu'
/** Microseconds that a CPU may take to wake up: at line rate a ring of 512 descriptors is full after 34. */
const SLOW_TO_WAKE = 20

/** `workers` poll; the main thread, and the process of virtual NICs, need what is left. */
export function examineTuning(machine: Machine, workers: number): Finding[] {
  return [enoughCpus(machine.cpus, workers), isolated(machine), governor(machine), sleep(machine)]
}

function enoughCpus(cpus: readonly number[], workers: number): Finding {
  const text = `this process may run on ${cpus.length}: ${shown(cpus)}`
  return cpus.length > workers
    ? ok('cpus', text)
    : warn(
        'cpus',
        `${text}; ${workers} polling worker${workers === 1 ? '' : 's'} and the rest of the system share them: use fewer --queues, or --mode adaptive`,
      )
}

/** Whether a worker can be near to a card of this node. */
export function nearCpus(node: number, cpus: readonly number[], sysfsRoot?: string): Finding {
  if (numaNodes(sysfsRoot).length < 2) return ok('numa', 'one node: all memory is near')
  if (node < 0) return warn('numa', 'the system has several nodes and does not say on which the card is')
  const near = cpusOfNode(node, sysfsRoot)
  const usable = near.filter((cpu) => cpus.includes(cpu))
  if (usable.length > 0) return ok('numa', `node ${node}: --cpus of ${shown(usable)}`)
  return warn(
    'numa',
    `node ${node}, whose CPUs (${shown(near)}) this process may not use: packets cross between nodes`,
    [`sudo taskset -cp ${shown(near)} $$`],
  )
}

function isolated({ roots: { sysfsRoot }, cpus }: Machine): Finding {
  const alone = isolatedCpus(sysfsRoot)
  if (alone.length > 0) return ok('isolcpus', `--cpus of ${shown(alone)}`)
  if (cpus.length < 2) return ok('isolcpus', 'one CPU: nothing to isolate')
  const last = cpus[cpus.length - 1]
  return warn(
    'isolcpus',
    `none: other programs interrupt the workers; boot with isolcpus=${last} and use --cpus ${last}`,
    bootWith(`isolcpus=${last}`),
  )
}

function governor({ roots: { sysfsRoot = '/sys' }, cpus }: Machine): Finding {
  const at = (cpu: number | string): string =>
    path.join(sysfsRoot, CPUS, `cpu${cpu}/cpufreq/scaling_governor`)
  const governors = cpus.flatMap((cpu) => {
    const name = readText(at(cpu))
    return name === null ? [] : [{ cpu, name }]
  })
  if (governors.length === 0) return ok('governor', 'Linux does not set the clock of this machine')
  const slow = governors.filter(({ name }) => name !== 'performance')
  if (slow.length === 0) return ok('governor', 'performance')
  const names = [...new Set(slow.map(({ name }) => name))].join(', ')
  return warn(
    'governor',
    `${names} on CPU ${shown(slow.map(({ cpu }) => cpu))}: the clock follows the load`,
    [`echo performance | sudo tee ${at('[0-9]*')}`],
  )
}

/** Deep C-states: where a worker rests, in another mode than poll, it wakes up late. */
function sleep({ roots: { sysfsRoot = '/sys' }, cpus }: Machine): Finding {
  const deep = new Map<string, string>()
  let known = false
  for (const cpu of cpus) {
    const folder = path.join(sysfsRoot, CPUS, `cpu${cpu}/cpuidle`)
    for (const state of listNames(folder)) {
      const latency = readNumber(path.join(folder, state, 'latency'))
      const off = readNumber(path.join(folder, state, 'disable'))
      if (latency === null || off === null) continue
      known = true
      if (latency > SLOW_TO_WAKE && off === 0)
        deep.set(state, `${readText(path.join(folder, state, 'name')) ?? state} (${latency} µs)`)
    }
  }
  if (!known) return ok('c-states', 'Linux chooses none on this machine')
  if (deep.size === 0) return ok('c-states', `none that takes more than ${SLOW_TO_WAKE} µs to wake up from`)
  const states = [...deep.keys()].map((state) =>
    path.join(sysfsRoot, CPUS, `cpu[0-9]*/cpuidle/${state}/disable`),
  )
  return warn('c-states', `idle CPUs fall into ${[...deep.values()].join(', ')}: interrupts wake them late`, [
    `echo 1 | sudo tee ${states.join(' ')}`,
  ])
}
