/** Running the tool as a user does: bin/ixy-ts with the bundle in dist/. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { requireEvents } from '../events.ts'

export { describeIf, missing, testIf } from '../skip.ts'

export const LAUNCHER = path.join(__dirname, '..', '..', 'bin', 'ixy-ts')

/** Longest time anything in these tests may take, milliseconds. */
const DEADLINE = 60_000

export interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Those that a failed test has left running. */
const running = new Set<Tool>()
afterAll(() => {
  for (const tool of running) tool.process.kill('SIGKILL')
})

interface Surroundings {
  readonly env?: Record<string, string>
  readonly netns?: string
  readonly cwd?: string
  readonly launcher?: string
  /** A Node.js other than that of the tests. */
  readonly node?: string
  /** Of Node.js. */
  readonly flags?: readonly string[]
}

/** A running ixy-ts. */
export class Tool {
  stdout = ''
  stderr = ''
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  private readonly ended: Promise<Outcome>
  private readonly listeners = new Set<() => void>()

  constructor(
    args: readonly string[],
    { env = {}, netns, cwd, launcher = LAUNCHER, node = process.execPath, flags = [] }: Surroundings = {},
  ) {
    const command = [node, ...flags, launcher, ...args]
    const [program, ...rest] = netns === undefined ? command : ['ip', 'netns', 'exec', netns, ...command]
    this.process = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd,
      env: { ...process.env, NO_COLOR: '1', ...env },
    })
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      for (const listener of this.listeners) listener()
    })
    this.process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      for (const listener of this.listeners) listener()
    })
    running.add(this)
    this.ended = new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        this.process.kill('SIGKILL')
        reject(
          new Error(
            `${args.join(' ')} still runs after ${DEADLINE / 1000} s\n${this.stdout}\n${this.stderr}`,
          ),
        )
      }, DEADLINE)
      this.process.on('close', (code, signal) => {
        clearTimeout(deadline)
        running.delete(this)
        for (const listener of this.listeners) listener()
        try {
          if (args.includes('--json')) requireEvents(this.stdout)
          resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
        } catch (error) {
          reject(new Error(`${args.join(' ')}: ${String(error)}`))
        }
      })
    })
    // Whoever waits for the end sees the failure.
    this.ended.catch(() => undefined)
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('not started')
    return this.process.pid
  }

  end(): Promise<Outcome> {
    return this.ended
  }

  /** Resolves with the match once what was printed so far matches; rejects when the tool ends before or takes too long. */
  async until(
    pattern: RegExp,
    where: 'stdout' | 'stderr' = 'stdout',
    deadline = 20_000,
  ): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.listeners.delete(look)
      }
      const fail = (why: string): void => {
        finish()
        reject(
          new Error(`${why} before ${pattern} on ${where}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`),
        )
      }
      const look = (): void => {
        const match = pattern.exec(this[where])
        if (match !== null) {
          finish()
          resolve(match)
        } else if (this.process.exitCode !== null || this.process.signalCode !== null) {
          fail('ended')
        }
      }
      const timer = setTimeout(() => fail(`${deadline} ms passed`), deadline)
      this.listeners.add(look)
      look()
    })
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGINT'): Promise<Outcome> {
    this.process.kill(signal)
    return this.end()
  }
}

/** Runs ixy-ts to its end. */
export function ixy(...args: string[]): Promise<Outcome> {
  return new Tool(args).end()
}

/** The objects of NDJSON output, all of them or those of one event. */
export function objects(stdout: string, event?: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((object) => event === undefined || object['event'] === event)
}

/** A directory that goes after the test file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-test-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Runs a command that must succeed and returns its stdout. */
export function sh(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    // Some build the package.
    timeout: 3 * DEADLINE,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited with ${status}: ${stderr}${stdout}`)
  return stdout
}

/** Child processes of `pid`; [] once it has gone. */
export function childrenOf(pid: number): number[] {
  const list = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(list)) return []
  return readFileSync(list, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

/** A process that has ended, also if nobody has taken notice: in a container the first process may be one that takes none of orphans. */
export function hasEnded(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}

/** Resolves with true once `condition` holds, with false if it doesn't within `milliseconds`. */
export async function becomes(condition: () => boolean, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds
  while (!condition()) {
    if (performance.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return true
}

/** A file of test/e2e as a program, made in `directory`. Its environment needs MODULES. */
export function bundle(name: string, directory: string): string {
  const outdir = path.join(directory, name)
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs', path.join('test/e2e', `${name}.ts`)], {
    cwd: path.join(__dirname, '..', '..'),
    env: { ...process.env, OUTDIR: outdir },
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return path.join(outdir, `${name}.cjs`)
}

/** Where such a program finds koffi. */
export const MODULES = { NODE_PATH: path.join(__dirname, '..', '..', 'node_modules') }
