// The long form of what `make test` does in short: hours of random combinations, ends, messages and packets. Each part prints its
// seeds, so that what fails can be run again alone. PARTS chooses parts, SCALE scales all of them: PARTS=kills SCALE=0.1 make soak
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const scale = Number(process.env.SCALE ?? 1)
const chosen = process.env.PARTS?.split(',') ?? [
  'balance',
  'kills',
  'clients',
  'servers',
  'race',
  'packets',
  'filters',
  'guests',
]
const first = Number(process.env.SEED ?? Math.floor(Date.now() / 1000))

const times = (count) => Math.max(1, Math.round(count * scale))
const failures = []

/** One process; what it prints is shown when it fails. Returns what it wrote to stdout, null if it failed. */
function run(what, args, env = {}) {
  const begin = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  const seconds = ((performance.now() - begin) / 1000).toFixed(0)
  console.log(`${status === 0 ? 'passed' : 'FAILED'}  ${what} (${seconds} s)`)
  if (status === 0) return stdout
  failures.push(what)
  console.log(stdout, stderr)
  return null
}

const jest = (file, ...more) => ['node_modules/jest/bin/jest.js', '-w', '1', file, ...more]

const parts = {
  // Each process has memory for some hundred runs.
  balance() {
    for (let seed = first; seed < first + times(20); seed++)
      run(`balance: 500 combinations, seed ${seed}`, jest('test/engine/balance'), {
        IXY_BALANCE_RUNS: '500',
        IXY_BALANCE_SEED: String(seed),
      })
  },
  kills() {
    for (let seed = first; seed < first + times(1000); seed += 50)
      run(`kills: 50 random ends, seed ${seed}`, jest('test/e2e/campaign'), {
        IXY_KILLS: '50',
        IXY_CAMPAIGN_SEED: String(seed),
      })
  },
  // Mostly waiting for answers that don't come.
  servers() {
    for (let seed = first; seed < first + times(50); seed++)
      run(
        `servers: 1,000 sessions with one whose replies are damaged, seed ${seed}`,
        jest('test/pci/vfio-user/client', '-t', 'replies are damaged'),
        { IXY_HOSTILE_SEED: String(seed), IXY_HOSTILE_SESSIONS: '1000' },
      )
  },
  clients() {
    for (let seed = first; seed < first + times(100); seed++)
      run(
        `clients: 100,000 messages, seed ${seed}`,
        jest('test/vnic/vfio-user/hostile', '-t', 'hostile messages'),
        { IXY_HOSTILE_SEED: String(seed), IXY_HOSTILE_MESSAGES: '100000' },
      )
  },
  // The card's side of 10^7 polls, frames and packets, against a guest that rewrites what is read.
  race() {
    run(`race: seed ${first}`, jest('test/vnic/race'), {
      IXY_RACE_OPERATIONS: String(times(10_000_000)),
      IXY_RACE_SEED: String(first),
    })
  },
  // Past 2^32 packets per generator, and past the wrap of the sequence numbers.
  packets() {
    const count = times(5_000_000_000)
    const wire = `virtual:gen,rate=max,count=${count}`
    const args = ['bin/ixy-ts', 'forward', wire, wire, '--json', '--quiet', '--expect-loss', '0']
    const out = run(`packets: ${2 * count} of them`, args)
    if (out === null) return
    const end = JSON.parse(out.trim().split('\n').at(-1))
    const arrived = end.balance.map((direction) => direction.arrived)
    if (arrived.some((packets) => packets !== count))
      failures.push(`packets: ${arrived} arrived of ${count} each`)
  },
  filters() {
    for (let seed = first; seed < first + times(50); seed++)
      run(`filters: all, beside tcpdump, seed ${seed}`, jest('test/packet/filter/tcpdump'), {
        IXY_FILTERS: 'all',
        IXY_FILTERS_SEED: String(seed),
      })
  },
  guests() {
    run('guests: two Linux guests', ['test/guest/run.mjs', 'soak'], { IXY_SOAK_SECONDS: String(times(300)) })
  },
}

for (const part of chosen) parts[part]()
console.log(
  failures.length === 0 ? 'soak: all passed' : `soak: ${failures.length} failed: ${failures.join('; ')}`,
)
process.exit(failures.length === 0 ? 0 : 1)
