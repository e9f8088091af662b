/** Hosts in network namespaces, and ixy-ts between them. Needs root. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

const { BENCH_TOOL = '' } = process.env

/** Runs a command that must succeed; returns its stdout. */
export const sh = (...words: string[]): string =>
  execFileSync(words[0], words.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** The words that run a command in a namespace. */
export const within = (netns: string, ...words: string[]): string[] => [
  'ip',
  'netns',
  'exec',
  netns,
  ...words,
]

/** Adds a namespace in which nothing speaks unasked. */
export function addHost(netns: string): void {
  sh('ip', 'netns', 'add', netns)
  sh(...within(netns, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6'))
  sh('ip', '-n', netns, 'link', 'set', 'lo', 'up')
}

/** Gives an interface of a host its address and brings it up. */
export function address(netns: string, dev: string, inner: string, ...more: string[]): void {
  sh('ip', '-n', netns, 'addr', 'add', inner, 'dev', dev)
  sh('ip', '-n', netns, 'link', 'set', dev, ...more, 'up')
}

/** Starts ixy-ts, which sleeps while others are measured, and waits until it runs. It is added to `children` at once. */
export async function startTool(args: readonly string[], children: ChildProcess[]): Promise<void> {
  const options = ['--mode', 'adaptive', '--json', '--log-level', 'error']
  const child = spawn(process.execPath, [BENCH_TOOL, ...args, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const [started] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  child.stdout?.resume()
  if (!started.includes('"start"')) throw new Error(`ixy-ts ${args[0]}: ${started.toString()}`)
}

/** Ends what runs, the newest first. */
export async function endAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of [...children].reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
}

/** Ends what runs and removes hosts and interfaces, whether or not they are there. */
export async function tearDown(
  children: readonly ChildProcess[],
  hosts: readonly string[],
  links: readonly string[],
): Promise<void> {
  await endAll(children)
  for (const netns of hosts) sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`)
  for (const link of links) sh('sh', '-c', `ip link del ${link} 2>/dev/null || true`)
}
