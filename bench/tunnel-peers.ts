/**
 * What a tunnel costs two hosts: time of a request and its answer, and throughput of a stream, over the same link without a
 * tunnel, in Linux's vxlan, and in ours with Linux's at the other end. Runs of all three take turns; paired t-tests.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { tidied } from './lib/clean-up.ts'
import { addHost, address, sh, startTool, tearDown, within } from './lib/hosts.ts'
import { average, median, type PairedTest, pairedTest } from './lib/t-test.ts'

const ID = process.pid % 10_000
const [A, B] = ['a', 'b'].map((end) => `ixybt-${ID}-${end}`)
const TAPS = ['p', 'q', 'r', 's'].map((name) => `ixbt${ID}${name}`)
const [PLAIN_A, PLAIN_B, INNER, OUTER] = TAPS
const ECHO_PORT = 7007
/** Seconds of requests, and bytes of a stream, per run. */
const REQUESTS = 0.3
const STREAM = '20M'

/** Contestants, by the address at which the other host is reached. */
const CONTESTANTS = { baseline: '10.1.0.2', kernel: '10.2.0.2', ours: '10.3.0.2' } as const
type Name = keyof typeof CONTESTANTS
const NAMES = Object.keys(CONTESTANTS) as Name[]

export interface PeersResult {
  readonly runs: number
  /** Microseconds, Mbit/s: of each run. */
  readonly latency: Readonly<Record<Name, number[]>>
  readonly throughput: Readonly<Record<Name, number[]>>
  readonly tests: Readonly<Record<'latency' | 'throughput', Readonly<Record<string, PairedTest>>>>
}

const ECHO = `require('net').createServer((s) => { s.setNoDelay(); s.on('data', (d) => s.write(d)).on('error', () => 0) }).listen(${ECHO_PORT})`
const ASK = `const [, host] = process.argv
const s = require('net').connect(${ECHO_PORT}, host, () => { s.setNoDelay(); s.write('x') })
let n = -20, began
s.on('data', () => {
  if (++n === 0) began = performance.now()
  if (n > 0 && performance.now() - began > ${REQUESTS * 1000}) { console.log((performance.now() - began) * 1000 / n); process.exit() }
  s.write('x')
})`

function setUp(): void {
  for (const netns of [A, B]) addHost(netns)
  for (const [tap, netns] of [
    [PLAIN_A, A],
    [PLAIN_B, B],
    [INNER, A],
    [OUTER, B],
  ])
    sh('ip', 'link', 'set', tap, 'netns', netns)
  address(A, PLAIN_A, '10.1.0.1/24')
  address(B, PLAIN_B, '10.1.0.2/24')
  address(A, INNER, '10.3.0.1/24', 'mtu', '1450')
  address(B, OUTER, '192.0.2.2/24')
  const vxlan = (
    netns: string,
    vni: number,
    name: string,
    dev: string,
    local: string,
    remote: string,
  ): void => {
    const ends = ['local', local, 'remote', remote, 'dev', dev]
    sh('ip', '-n', netns, 'link', 'add', name, 'type', 'vxlan', 'id', String(vni), 'dstport', '4789', ...ends)
  }
  vxlan(A, 41, 'vxk', PLAIN_A, '10.1.0.1', '10.1.0.2')
  vxlan(B, 41, 'vxk', PLAIN_B, '10.1.0.2', '10.1.0.1')
  address(A, 'vxk', '10.2.0.1/24')
  address(B, 'vxk', '10.2.0.2/24')
  vxlan(B, 42, 'vxo', OUTER, '192.0.2.2', '192.0.2.1')
  address(B, 'vxo', '10.3.0.2/24')
}

export function tunnelPeers(runs: number): Promise<PeersResult> {
  const children: ChildProcess[] = []
  const work = async (): Promise<PeersResult> => {
    for (const tap of TAPS) sh('ip', 'tuntap', 'add', 'dev', tap, 'mode', 'tap')
    await startTool(['forward', `virtual:tap=${PLAIN_A}`, `virtual:tap=${PLAIN_B}`], children)
    const ends = ['--local', '192.0.2.1/24', '--remote', '192.0.2.2']
    const encap = ['--encap', 'vxlan', '--vni', '42']
    await startTool(['tunnel', `virtual:tap=${OUTER}`, `virtual:tap=${INNER}`, ...encap, ...ends], children)
    setUp()
    const [ip, ...echo] = within(B, process.execPath, '-e', ECHO)
    children.push(
      spawn(ip, echo, { stdio: 'ignore' }),
      spawn(ip, within(B, 'iperf3', '-s').slice(1), { stdio: 'ignore' }),
    )
    for (const address of Object.values(CONTESTANTS))
      sh(...within(A, 'ping', '-q', '-c', '3', '-i', '0.2', '-W', '5', address))
    return measure(runs)
  }
  return tidied(work, () => tearDown(children, [A, B], TAPS))
}

function measure(runs: number): PeersResult {
  const empty = (): Record<Name, number[]> => ({ baseline: [], kernel: [], ours: [] })
  const [latency, throughput] = [empty(), empty()]
  // The first turn is for caches and compilers.
  for (let run = -1; run < runs; run++) {
    for (let turn = 0; turn < NAMES.length; turn++) {
      const name = NAMES[(turn + run + NAMES.length) % NAMES.length]
      const host = CONTESTANTS[name]
      const asked = Number(sh(...within(A, process.execPath, '-e', ASK, host)))
      const { end } = JSON.parse(sh(...within(A, 'iperf3', '-J', '-c', host, '-n', STREAM))) as {
        end: { sum_received: { bits_per_second: number } }
      }
      if (run < 0) continue
      latency[name].push(asked)
      throughput[name].push(end.sum_received.bits_per_second / 1e6)
    }
  }
  const tests = (samples: Record<Name, number[]>): Record<string, PairedTest> => ({
    'kernel against baseline': pairedTest(samples.baseline, samples.kernel),
    'ours against baseline': pairedTest(samples.baseline, samples.ours),
    'ours against kernel': pairedTest(samples.kernel, samples.ours),
  })
  return { runs, latency, throughput, tests: { latency: tests(latency), throughput: tests(throughput) } }
}

export function printPeers({ runs, latency, throughput, tests }: PeersResult): void {
  console.log(`\nTwo hosts, ${runs} runs of each in turn: median (mean)\n`)
  const both = (samples: number[]): string => `${median(samples).toFixed(1)} (${average(samples).toFixed(1)})`
  for (const name of NAMES)
    console.log(`  ${name.padEnd(10)} ${both(latency[name])} µs, ${both(throughput[name])} Mbit/s`)
  for (const [what, unit] of [
    ['latency', 'µs'],
    ['throughput', 'Mbit/s'],
  ] as const)
    for (const [pair, { mean, margin, t, p }] of Object.entries(tests[what]))
      console.log(
        `  ${what}, ${pair}: ${mean.toFixed(1)} ± ${margin.toFixed(1)} ${unit}, t ${t.toFixed(2)}, p ${p.toPrecision(2)}`,
      )
}
