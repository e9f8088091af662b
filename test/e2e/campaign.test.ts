/**
 * Random commands, ended by random signals to a random one of their processes at a random instant. Whatever happens: the
 * command ends, leaves nothing behind, tells the truth with its exit code, and what it counted adds up.
 *
 * IXY_KILLS: how many; IXY_CAMPAIGN_SEED: which. `make soak` runs many, `make test` a few with a fixed seed.
 */
import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { Random } from '../../src/vnic/wires/random.ts'
import { mixedFrames, writeCapture } from './captures.ts'
import { becomes, childrenOf, objects, temporaryDirectory, Tool } from './support.ts'

const KILLS = Number(process.env['IXY_KILLS'] ?? 10)
const SEED = Number(process.env['IXY_CAMPAIGN_SEED'] ?? 1)
/** Milliseconds for everything that a dead command may have left to be gone. */
const GONE = 10_000

const folder = temporaryDirectory()
const runtime = temporaryDirectory()
const capture = path.join(folder, 'in.pcap')
beforeAll(() => writeCapture(capture, mixedFrames(300)))

interface Attack {
  readonly args: readonly string[]
  readonly victim: 'parent' | 'child'
  readonly signal: NodeJS.Signals
  /** Milliseconds after the start. */
  readonly after: number
}

function draw(seed: number): Attack {
  const random = new Random(seed)
  const below = (limit: number): number => random.below(limit)
  const oneOf = <T>(some: readonly T[]): T => some[below(some.length)]
  const fault = (): string =>
    oneOf(['', '', ',fault=drop=0.1+seed=1', ',fault=dup=0.2+reorder=0.2', ',fault=linkflap=50ms'])
  const wire = (number: number): string => {
    const end = oneOf([
      'gen',
      'gen,rate=100kpps,flows=8',
      'gen,size=1514',
      'sink',
      `replay=${capture},repeat=0`,
      `record=${path.join(folder, `${seed}-${number}.pcap`)}`,
    ])
    return `virtual:${end}${fault()}`
  }
  const forward = below(3) > 0
  const args = forward
    ? ['forward', wire(0), wire(1)]
    : ['pktgen', `virtual:${oneOf(['sink', 'loop'])}${fault()}`, '--rate', oneOf(['1kpps', '1Mpps'])]
  args.push('--json', '-i', '0.1', '-q', String(1 + below(3)), '--log-level', 'warn')
  const victim = oneOf(['parent', 'child'] as const)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const
  return {
    args,
    victim,
    signal: victim === 'child' ? 'SIGKILL' : oneOf(signals),
    after: below(1000),
  }
}

/** Processes that belong to this test, by what is in their environment. */
function left(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const inOurs = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`IXY_TS_RUNTIME_DIR=${runtime}`)
        return inOurs && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
      } catch {
        return false
      }
    })
    .map(Number)
}

/** What is in the runtime directory. Locks stay there: they tell the next run what a killed one has left elsewhere. */
function namesLeft(): string[] {
  return readdirSync(runtime).filter((name) => !name.endsWith('.lock'))
}

function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

interface Direction {
  offered: number
  copies: number
  arrived: number
  underWay: number
  lost: { frames: number }[]
  unaccounted: number
}

async function attack({ args, victim, signal, after }: Attack): Promise<void> {
  const tool = new Tool(args, { env: { IXY_TS_RUNTIME_DIR: runtime } })
  await new Promise((resolve) => setTimeout(resolve, after))
  const target = victim === 'parent' ? tool.pid : childrenOf(tool.pid).at(0)
  const hit = target !== undefined && kill(target, signal)
  // No child yet: the command is ended another way.
  if (!hit) kill(tool.pid, 'SIGTERM')
  const { code, signal: died, stdout, stderr } = await tool.end()

  expect(await becomes(() => left().length === 0, GONE)).toBe(true)
  if (died === 'SIGKILL') return
  // Before its handlers are there, a signal ends it as any other program.
  if (died !== null) return expect(stdout).toBe('')
  const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1)
  const [end] = objects(whole, 'end') as unknown as {
    balance?: Direction[]
    error: unknown
    loss?: { judged: boolean }
  }[]
  expect(code).toBe(end?.error === null ? 0 : 1)
  if (code !== 0) expect(stderr).toMatch(/^ixy-ts: .* \[IXY_ERR_[A-Z_]+\]$/m)
  for (const { offered, copies, arrived, underWay, lost, unaccounted } of end?.balance ?? []) {
    const named = lost.reduce((sum, { frames }) => sum + frames, 0)
    expect({ unaccounted, sum: arrived + underWay + named }).toEqual({
      unaccounted: 0,
      sum: offered + copies,
    })
  }
}

test(`${KILLS} random ends, from seed ${SEED} on`, async () => {
  for (let seed = SEED; seed < SEED + KILLS; seed++) {
    const drawn = draw(seed)
    try {
      await attack(drawn)
    } catch (cause) {
      throw new Error(`seed ${seed}: ${JSON.stringify(drawn)}: ${String(cause)}`, { cause })
    }
  }
  // What those that were killed have left goes with the next run, but for sockets so young that their owner may not listen yet.
  const young = (): boolean =>
    namesLeft().some((name) => Date.now() - lstatSync(path.join(runtime, name)).mtimeMs < 1_000)
  expect(await becomes(() => !young(), GONE)).toBe(true)
  const { code } = await new Tool(['pktgen', 'virtual:sink', '-n', '1'], {
    env: { IXY_TS_RUNTIME_DIR: runtime },
  }).end()
  expect(code).toBe(0)
  expect(namesLeft()).toEqual([])
}, 36_000_000)
