/** Every process that the harness starts, so that none outlives it. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'

const running = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

export interface Started {
  readonly child: ChildProcess
  /** Everything written to stdout and stderr so far. */
  output(): string
  /** Settles when the process has ended, with its exit code; -1 if a signal ended it. */
  readonly ended: Promise<number>
  /**
   * Asks with SIGTERM, insists with SIGKILL after 5 s. Returns the exit code; -1 after another 5 s, since a process that
   * is stuck in the kernel (KVM on a machine that only pretends to have it) does not even end then.
   */
  stop(): Promise<number>
}

export function start(command: readonly string[], options: SpawnOptions = {}): Started {
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  running.add(child)
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      chunks.push(Buffer.from(`${program}: ${error.message}\n`))
      running.delete(child)
      resolve(-1)
    })
    child.once('close', (code) => {
      running.delete(child)
      resolve(code ?? -1)
    })
  })
  return {
    child,
    ended,
    output: () => Buffer.concat(chunks).toString('utf8'),
    stop: async () => {
      child.kill('SIGTERM')
      const code = await within(ended, 5)
      if (code !== undefined) return code
      child.kill('SIGKILL')
      return (await within(ended, 5)) ?? -1
    },
  }
}

/** What the promise settles to; undefined if that takes longer than `seconds`. */
async function within<T>(promise: Promise<T>, seconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, undefined)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Runs a command to its end. Throws with its output if it fails or takes longer than `seconds`. */
export async function run(
  command: readonly string[],
  seconds = 60,
  options: SpawnOptions = {},
): Promise<string> {
  const started = start(command, options)
  const code = (await within(started.ended, seconds)) ?? (await started.stop())
  if (code !== 0) throw new Error(`${command.join(' ')}: exit ${code}\n${started.output()}`)
  return started.output()
}

/** Waits until `condition` holds, asking every 50 ms. */
export async function until(
  what: string,
  seconds: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits for an event of `emitter`. */
export async function event(emitter: NodeJS.EventEmitter, name: string, seconds: number): Promise<unknown> {
  return (await once(emitter, name, { signal: AbortSignal.timeout(seconds * 1000) }))[0]
}
