/**
 * TCP between two hosts, through the kernel's own bridge of two veths and through `forward tap:… tap:…`: in turn, on the same
 * machine, both hosts on it as well.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { tidied } from './lib/clean-up.ts'
import { addHost, address, sh, startTool, tearDown, within } from './lib/hosts.ts'
import { median } from './lib/t-test.ts'

const ID = process.pid % 10_000
const HOSTS = ['a', 'b'].map((end) => `ixybh-${ID}-${end}`)
const BRIDGE = `ixbh${ID}br`
/** What ours is given: nothing, and the batch of cards, with which less is joined of what the kernel is given. */
const OPTIONS = [[], ['-b', '32']]
const SECONDS = 2

export interface HostInterfaceResult {
  readonly seconds: number
  /** Gbit/s of each run, by contestant. */
  readonly throughput: Readonly<Record<string, number[]>>
}

interface Contestant {
  readonly name: string
  /** The interfaces of both hosts. */
  readonly links: readonly string[]
  readonly subnet: string
}

const linksOf = (letters: string): string[] => [...letters].map((letter) => `ixbh${ID}${letter}`)
const KERNEL: Contestant = { name: 'kernel’s bridge', links: linksOf('ab'), subnet: '10.4.0' }
const OURS = OPTIONS.map((options, i): Contestant & { options: readonly string[] } => ({
  name: ['ixy-ts', ...options].join(' '),
  links: linksOf(['cd', 'ef'][i]),
  subnet: `10.${5 + i}.0`,
  options,
}))

export function hostInterface(runs: number): Promise<HostInterfaceResult> {
  const children: ChildProcess[] = []
  const work = async (): Promise<HostInterfaceResult> => {
    for (const host of HOSTS) addHost(host)
    sh('ip', 'link', 'add', BRIDGE, 'type', 'bridge')
    sh('ip', 'link', 'set', BRIDGE, 'up')
    KERNEL.links.forEach((link, i) => {
      sh('ip', 'link', 'add', `${link}p`, 'type', 'veth', 'peer', 'name', link, 'netns', HOSTS[i])
      sh('ip', 'link', 'set', `${link}p`, 'master', BRIDGE, 'up')
    })
    for (const { links, options } of OURS) {
      await startTool(['forward', ...links.map((link) => `tap:${link}`), ...options], children)
      links.forEach((link, i) => sh('ip', 'link', 'set', link, 'netns', HOSTS[i]))
    }
    for (const { links, subnet } of [KERNEL, ...OURS])
      links.forEach((link, i) => address(HOSTS[i], link, `${subnet}.${i + 1}/24`))
    const [program, ...server] = within(HOSTS[1], 'iperf3', '-s')
    children.push(spawn(program, server, { stdio: 'ignore' }))
    for (const { subnet } of [KERNEL, ...OURS])
      sh(...within(HOSTS[0], 'ping', '-q', '-c', '3', '-i', '0.2', '-W', '5', `${subnet}.2`))
    return measure(runs)
  }
  return tidied(work, () => tearDown(children, HOSTS, [BRIDGE]))
}

function measure(runs: number): HostInterfaceResult {
  const throughput: Record<string, number[]> = {}
  for (let run = 0; run < runs; run++) {
    for (const { name, subnet } of [KERNEL, ...OURS]) {
      const { end } = JSON.parse(
        sh(...within(HOSTS[0], 'iperf3', '-J', '-c', `${subnet}.2`, '-t', String(SECONDS))),
      ) as { end: { sum_received: { bits_per_second: number } } }
      throughput[name] = [...(throughput[name] ?? []), end.sum_received.bits_per_second / 1e9]
    }
  }
  return { seconds: SECONDS, throughput }
}

export function printHostInterface({ seconds, throughput }: HostInterfaceResult): void {
  console.log(`\nTCP between two hosts, runs of ${seconds} s in turn: median (lowest to highest)\n`)
  for (const [name, rates] of Object.entries(throughput)) {
    const [low, high] = [Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(1))
    console.log(`  ${name.padEnd(16)} ${median(rates).toFixed(1)} Gbit/s (${low} to ${high})`)
  }
}
