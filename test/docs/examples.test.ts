/**
 * Every example of --help, README.md and docs/ works as printed: those without sudo as an ordinary user, those with it as
 * root in a network namespace, but for those that name a PCI function: they are understood, and fail for want of it. What would run for ever or for minutes runs for a moment.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { writeApp } from '../e2e/apps.ts'
import { writeCapture } from '../e2e/captures.ts'
import { type Example, appCalled, commands, findExamples, help } from './examples.ts'
import { end, interval, ndjson, start as startOf } from '../cli/report/runs.ts'
import { describeIf, missing, sh, temporaryDirectory, testIf } from '../e2e/support.ts'
import { makeInterface, startBackEnd } from './example-peers.ts'
import { WRAPPER } from './example-wrapper.ts'
import { NO_TYPESCRIPT, typescriptNode } from '../e2e/typescript-node.ts'
import { ORDINARY_USER, copyPackage, nodeObstacle } from '../e2e/unpacked.ts'

const SECONDS = '0.03'
const DEADLINE = 60_000

/** In a domain that no machine has, functions are absent: the examples must fail for that, and touch none of this machine's. */
const ABSENT = 'fffe:$1'
const PCI = /\b(?:0000:)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b)/g

const [, CPUS] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? ['', '0']

/** What the command line needs besides ixy-ts. */
function programs({ command }: Example): string[] {
  const piped = [...command.matchAll(/(?:\||<\() *([\w-]+)/g)]
    .map(([, name]) => name)
    .filter((name) => name !== 'ixy-ts')
  if (command.includes('<(')) piped.push('bash')
  return /^jq /m.test(command) ? [...piped, 'jq'] : piped
}

const isPci = (command: string): boolean => command.search(PCI) >= 0
/** The name of an interface of a machine's own. */
const interfaceIn = (command: string): string | undefined => /\beth\d\b/.exec(command)?.[0]
const needsRoot = (command: string): boolean =>
  (command.startsWith('sudo ') && !isPci(command)) || interfaceIn(command) !== undefined
/** It has a filter in tcpdump's language: as an option, of a wire, or as the last words of capture. */
const filters = (command: string): boolean =>
  /--filter |filter=|\bcapture .* (udp|tcp|icmp|arp|port|host)\b/.test(command)
const runsTypescript = (command: string): boolean => /\brun \S+\.ts\b/.test(command)
const typescript = typescriptNode()
const obstacle = (example: Example): string | null => {
  if (runsTypescript(example.command) && typescript === null) return NO_TYPESCRIPT
  const libpcap = filters(example.command)
  return missing(
    needsRoot(example.command)
      ? {
          root: true,
          tap: /\btap[=:]/.test(example.command),
          programs: [...programs(example), 'ip'],
          libpcap,
        }
      : { programs: programs(example), libpcap },
  )
}

interface Ended {
  readonly code: number | null
  readonly output: string
}

describeIf(nodeObstacle(), 'examples', () => {
  const directory = temporaryDirectory()
  const running = new Set<ChildProcess>()
  const bounded: string[] = []
  let unpacked: string
  let folders = 0

  beforeAll(() => {
    unpacked = copyPackage(directory)
    for (const command of commands()) {
      if (help(command).includes('--duration <')) bounded.push(command)
    }
  }, DEADLINE)
  afterAll(() => {
    for (const child of running) endGroup(child)
  })

  function endGroup({ pid }: ChildProcess): void {
    if (pid !== undefined) spawnSync('kill', ['-KILL', '--', `-${pid}`])
  }

  /** A folder for one example, with the files it reads. */
  function folderFor(text: string): string {
    const folder = path.join(directory, String(folders++))
    mkdirSync(path.join(folder, 'bin'), { recursive: true })
    for (const [name, script] of [
      ['ixy-ts', WRAPPER],
      ['sudo', '#!/bin/sh\nexec "$@"\n'],
    ]) {
      writeFileSync(path.join(folder, 'bin', name), script, { mode: 0o755 })
    }
    const frames = Array.from({ length: 20 }, (_, i) => new Uint8Array(60 + i).fill(i + 1))
    for (const [, name] of text.matchAll(/(?:replay=|--pcap[ =])((?:\\.|[^\s,'"/\\])+)/g)) {
      if (name !== '-') writeCapture(path.join(folder, name.replaceAll(/\\(.)/g, '$1')), frames)
    }
    for (const [, name] of text.matchAll(/--profile[ =]([\w.-]+)/g))
      writeFileSync(path.join(folder, name), documentedProfile())
    for (const [, name] of text.matchAll(/\bixy-ts run \.\/([\w-]+\.m?[jt]s)/g))
      writeApp(folder, name, appCalled(name))
    if (/\bixy-ts report /.test(text))
      for (const [name] of text.matchAll(/[\w-]+\.ndjson/g)) {
        writeFileSync(path.join(folder, name), ndjson(startOf(), interval(1, 1, 10, 10), end(1, 10)))
        chmodSync(path.join(folder, name), 0o666)
      }
    chmodSync(folder, 0o777)
    return folder
  }

  /** The one that docs/pktgen.md shows. */
  function documentedProfile(): string {
    const page = readFileSync(path.join(__dirname, '../../docs/pktgen.md'), 'utf8')
    return /```yaml\n([^]*?)```/.exec(page)?.[1] ?? ''
  }

  interface How {
    /** A network namespace to be root in; otherwise it runs as an ordinary user. */
    readonly netns?: string | undefined
    readonly seconds?: string
    /** Where runs are found. */
    readonly runs?: string
  }

  function start(command: string, folder: string, how: How = {}) {
    const { netns, seconds = SECONDS, runs = path.join(folder, 'run') } = how
    const line = command.replaceAll(PCI, ABSENT).replaceAll('vhost-user:/tmp/', `vhost-user:${folder}/`)
    const shell = line.includes('<(') ? 'bash' : 'sh'
    const [program, ...args] = netns === undefined ? [shell] : ['ip', 'netns', 'exec', netns, shell]
    const child = spawn(program, [...args, '-c', line], {
      ...(netns === undefined ? ORDINARY_USER : {}),
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: `${folder}/bin:${process.env['PATH']}`,
        HOME: folder,
        XDG_RUNTIME_DIR: folder,
        NO_COLOR: '1',
        IXY_TS_RUNTIME_DIR: runs,
        IXY_TS_REHEARSAL: '0',
        IXY_NODE: (runsTypescript(command) ? typescript : null) ?? process.execPath,
        IXY_LAUNCHER: path.join(unpacked, 'bin/ixy-ts'),
        IXY_BOUNDED: bounded.join(' '),
        IXY_CPUS: CPUS,
        IXY_SECONDS: seconds,
      },
    })
    running.add(child)
    let output = ''
    const waiting = new Set<() => void>()
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
        for (const look of waiting) look()
      })
    }
    // What feeds it may go on, and keep its stderr open.
    if (shell === 'bash') child.on('exit', () => endGroup(child))
    const end = new Promise<Ended>((resolve) => {
      child.on('close', (code) => {
        running.delete(child)
        resolve({ code, output })
      })
    })
    const says = (pattern: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(output)) resolve()
        }
        waiting.add(look)
        look()
        void end.then(() => reject(new Error(`${command} ended without ${pattern}: ${output}`)))
      })
    return { child, end, says }
  }

  /** Stops a command that runs beside the example. */
  async function stop({ child, end }: ReturnType<typeof start>): Promise<string | null> {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGINT')
    return problemOf(await end)
  }

  function problemOf({ code, output }: Ended): string | null {
    return code === 0 && !output.includes('IXY_ERR_') ? null : `exit ${code}: ${output}`
  }

  /** What is wrong with an example, or null. */
  async function problemWith(example: Example): Promise<string | null> {
    const { command, then = '' } = example
    const folder = folderFor(command + then)
    if (isPci(command)) {
      const { code, output } = await start(command, folder).end
      const absent = code === 3 && /fffe:[0-9a-f:.]{7}.*\[IXY_ERR_DEVICE_NOT_FOUND\]/.test(output)
      return absent ? null : `exit ${code}: ${output}`
    }
    if (/\bixy-ts doctor(?: --json|$)/.test(command)) {
      // What it says is about the cards of this machine, if it has any.
      const { code, output } = await start(command, folder).end
      const right = [0, 3, 4].includes(code ?? -1) && !/IXY_ERR_(?:USAGE|INTERNAL)/.test(output)
      return right ? null : `exit ${code}: ${output}`
    }
    // One that asks for no device is content with the run that is there for all of them.
    if (/\bixy-ts stats\b(?!.* virtual:)/.test(command))
      return problemOf(await start(command, folder, { runs: await watched() }).end)
    const [, socket] = /\bvhost-user:\/tmp\/([^\s,]+)/.exec(command) ?? []
    if (socket !== undefined) {
      const backEnd = await startBackEnd(path.join(folder, socket))
      return problemIn(example, folder).finally(() => backEnd.disconnect())
    }
    if (!needsRoot(command)) return problemIn(example, folder)
    const netns = `ixy-examples-${process.pid}-${path.basename(folder)}`
    sh('ip', 'netns', 'add', netns)
    try {
      const name = interfaceIn(command)
      if (name !== undefined) makeInterface(netns, name)
      return await problemIn(example, folder, netns)
    } finally {
      sh('ip', 'netns', 'delete', netns)
    }
  }

  async function problemIn({ command, then }: Example, folder: string, netns?: string) {
    const beside = await startBeside(command, folder)
    let problem: string | null
    if (then === undefined) {
      problem = problemOf(await start(command, folder, { netns }).end)
    } else {
      // In place of its shell, which SIGINT would end as well.
      const server = start(`exec ${command}`, folder, { netns, seconds: '60' })
      await server.says(/listening on/)
      problem = problemOf(await start(then, folder, { netns }).end)
      problem ??= await stop(server)
    }
    return problem ?? (beside === null ? null : stop(beside))
  }

  let aRun: Promise<string> | undefined

  /** Where a run is found that lasts until the last test. */
  function watched(): Promise<string> {
    const folder = folderFor('')
    aRun ??= startBeside('ixy-ts stats', folder).then(() => path.join(folder, 'run'))
    return aRun
  }

  /** What an example speaks of as running already. */
  async function startBeside(command: string, folder: string) {
    const [, socket] = /vfio-user:([^\s,]+)/.exec(command) ?? []
    const stats = /\bixy-ts stats\b/.test(command)
    if (!stats && socket === undefined) return null
    // In the name of the device that the example asks for, else of one that costs next to nothing.
    const gen = / virtual:gen\b/.test(command) ? 'virtual:gen' : 'virtual:gen,rate=10pps'
    const other = stats ? `forward ${gen} virtual:sink --mode interrupt -i 0.1` : `vnic ${socket} --wire gen`
    const beside = start(`exec ixy-ts ${other}`, folder, { seconds: '60' })
    await beside.says(stats ? /RX:/ : /listening on/)
    return beside
  }

  const examples = findExamples()

  test('are found in the help of every command and in README.md', () => {
    const sources = new Set(examples.map(({ source }) => source))
    for (const command of commands()) expect(sources).toContain(`ixy-ts ${command} --help`)
    expect(sources).toContain('README.md')
  })

  const obstacles = new Map(examples.map((example) => [example, obstacle(example)]))
  const runnable = examples.filter((example) => obstacles.get(example) === null)
  const outcomes = new Map<string, Promise<string | null>>()
  /** The outcome of an example that runs while the test before it is waited for: half of the time is waiting. */
  function outcomeOf(example: Example): Promise<string | null> {
    const at = runnable.indexOf(example)
    for (const one of runnable.slice(at, at + 2)) {
      const outcome = outcomes.get(asRun(one)) ?? problemWith(one).catch(String)
      outcomes.set(asRun(one), outcome)
    }
    return outcomes.get(asRun(example)) ?? Promise.resolve('not run')
  }

  /** What is the same once it is bounded is run once. */
  function asRun({ command, then = '' }: Example): string {
    return `${command}\n${then}`.replaceAll('./bin/', '').replace(/ (?:-d|--duration) \d+\b/, '')
  }

  for (const example of examples) {
    const { command, then, source } = example
    const line = command.split('\n').slice(0, 2).join(' ')
    const title = `${source}: ${line}${then === undefined ? '' : `, then ${then}`}`
    testIf(
      obstacles.get(example) ?? null,
      title,
      async () => expect(await outcomeOf(example)).toBeNull(),
      DEADLINE,
    )
  }

  test.each([
    ['ixy-ts forward virtual:gen virtual:gen --durations 10', /unknown option/],
    ['ixy-ts forward virtual:gen virtual:nothing', /nothing/],
    ['sudo ixy-ts pktgen 0000:03:00.0 --rate fast', /'fast' is not a packet rate/],
    ['ixy-ts vnic /no-such-folder/nic.sock --wire gen', /no-such-folder/],
  ])('a broken one is noticed: %s', async (command, problem) => {
    expect(await problemWith({ command, source: 'here' })).toMatch(problem)
  })
})
