/** `ixy-ts run`: an app of the user's own gets what forward has, and its mistakes are told. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Ledger } from '../../src/vnic/wires/ledger.ts'
import { runLoop } from '../../src/vnic/poll-loop.ts'
import { VirtualNic } from '../../src/vnic/nic.ts'
import { parseWires } from '../../src/vnic/wires/parse.ts'
import { REFLECT, appWith, runApp, writeApp } from './apps.ts'
import { Tool, ixy, objects, temporaryDirectory, testIf } from './support.ts'
import { NO_TYPESCRIPT, STRIPS_TYPES, typescriptNode } from './typescript-node.ts'

const folder = temporaryDirectory()
const typescript = typescriptNode()

describe('an app of JavaScript', () => {
  const file = writeApp(folder, 'reflect.mjs', REFLECT)

  test('moves packets, loses none, and its counters and its result are printed', async () => {
    const { code, stdout } = await runApp(file, 'virtual:gen,count=5000', '--expect-loss', '0')
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^reflect sent 5,000 packets [^:]*:\s+lost 0,\s+duplicated 0,\s+reordered 0,\s+corrupted 0$/m,
    )
    expect(stdout).toMatch(/: offered 5,000, arrived 5,000,\s+unaccounted 0$/m)
    expect(stdout).toMatch(/^\[reflect\] reflected 5,000, polls of mine [\d,]+$/m)
    expect(stdout).toMatch(
      /^result\n {2}\{ worker: 0, limit: 0, seen: Map\(1\) \{ 'reflected' => 5000 \} \}$/m,
    )
  })

  test('in JSON, per interval and at the end; what has changed adds up to the total', async () => {
    const queues = ['--queues', '2', '--mode', 'adaptive']
    const args = ['virtual:gen,rate=10kpps', '-d', '0.4', '-i', '100ms', '--json', ...queues]
    const { code, stdout } = await runApp(file, ...args)
    expect(code).toBe(0)
    const [{ app, lineRateLimited }] = objects(stdout, 'end') as unknown as [
      {
        app: {
          name: string
          counters: Record<string, number>
          result: { worker: number; seen: Record<string, number> }[]
        }
        lineRateLimited: boolean
      },
    ]
    expect(app.name).toBe('reflect')
    expect(lineRateLimited).toBe(true)
    expect(app.result.map(({ worker }) => worker)).toEqual([0, 1])
    const [a, b] = app.result.map(({ seen }) => seen['reflected'])
    expect(a + b).toBe(app.counters['reflected'])
    const intervals = objects(stdout, 'app') as unknown as {
      app: string
      seconds: number
      counters: Record<string, number>
      total: Record<string, number>
    }[]
    expect(intervals.length).toBeGreaterThan(1)
    let sum = 0
    for (const { app, counters, total } of intervals) {
      expect(app).toBe('reflect')
      sum += counters['reflected']
      expect(total['reflected']).toBe(sum)
    }
    expect(sum).toBeLessThanOrEqual(app.counters['reflected'])
    expect(sum).toBeGreaterThan(0)
  })

  test('options behind -- are the app’s; what it refuses is wrong usage', async () => {
    const { code, stdout } = await runApp(file, 'virtual:gen', '--json', '-d', '20', '--', '--limit', '1000')
    const [end] = objects(stdout, 'end')
    expect({ code, reason: end['reason'] }).toEqual({ code: 0, reason: 'count' })
    expect((end['app'] as { counters: Record<string, number> }).counters['reflected']).toBeGreaterThan(999)
    const refused = await runApp(file, 'virtual:gen', '--', '--limit', 'few')
    expect(refused.stderr).toBe('ixy-ts: --limit is no number; give one [IXY_ERR_USAGE]\n')
    expect(refused.code).toBe(2)
    const unknown = await runApp(file, 'virtual:gen', '--', '--no-such')
    expect(unknown.stderr).toMatch(/^ixy-ts: app reflect: Unknown option '--no-such'.* \[IXY_ERR_USAGE\]\n$/)
    expect(unknown.code).toBe(2)
  })

  test('takes as many devices as it says', async () => {
    const { code, stderr } = await runApp(file, 'virtual:gen', 'virtual:sink')
    expect(stderr).toBe('ixy-ts: app reflect takes 1 device, not 2; give 1 device [IXY_ERR_USAGE]\n')
    expect(code).toBe(2)
  })

  test('stats shows its counters; Ctrl-C ends it cleanly; the TypeScript rings do as well', async () => {
    const env = { IXY_TS_RUNTIME_DIR: mkdtempSync(path.join(folder, 'run-')) }
    const tool = new Tool(
      ['run', file, 'virtual:gen,rate=1kpps', '--backend', 'ts', '-i', '0.1', '--mode', 'adaptive'],
      {
        env,
      },
    )
    await tool.until(/\[reflect\] reflected [1-9]/)
    const stats = (...args: string[]) => new Tool(['stats', ...args], { env }).end()
    const once = await stats('--once')
    expect(once.stdout).toMatch(/^\[reflect\] reflected [\d,]+, polls of mine [\d,]+ \(reflect, pid \d+\)$/m)
    const [end] = objects((await stats('-d', '0.2', '-i', '0.1', '--json')).stdout, 'end')
    expect(end['apps']).toEqual([
      expect.objectContaining({ name: 'reflect', command: 'reflect', pid: tool.pid }),
    ])
    const live = await stats('-d', '0.1', '-i', '0.1')
    expect(live.stdout.match(/^\[reflect\] reflected [\d,]+, .*\(reflect, pid \d+\)$/gm)).toHaveLength(2)
    const { code, stdout } = await tool.kill()
    expect(code).toBe(0)
    expect(stdout).toMatch(/^reflect sent [\d,]+ packets/m)
  })

  test('may be CommonJS, and have files of its own beside it', async () => {
    const own = path.join(folder, 'own')
    mkdirSync(own)
    writeApp(own, 'name.js', "module.exports = 'as-' + 'common'\n")
    const text = `const { internetChecksum } = require('ixy-ts')
if (typeof internetChecksum !== 'function') throw new Error('not the library')
module.exports = { name: require('./name.js'), ports: { min: 1, max: 2 }, make: () => ({ step: () => 0 }) }
`
    const { code, stdout } = await runApp(writeApp(own, 'app.cjs', text), 'virtual:sink', '-d', '0.1')
    expect(stdout).toMatch(/^as-common sent 0 packets/m)
    expect(code).toBe(0)
  })
})

describe('an app of TypeScript', () => {
  const text = REFLECT.replace('import { usageError }', 'import { type App, usageError }')
    .replace('options(argv)', 'options(argv: readonly string[])')
    .replace('export default {', 'const app: App<{ limit: number }, { limit: number }> = {')
  const file = writeApp(folder, 'typed.ts', `${text.trimEnd()}\nexport default app\n`)

  testIf(typescript === null ? NO_TYPESCRIPT : null, 'runs as it is', async () => {
    const args = ['run', file, 'virtual:gen,count=100', '--expect-loss', '0']
    const { code, stdout, stderr } = await new Tool(
      args,
      typescript === null ? {} : { node: typescript },
    ).end()
    expect(stdout).toMatch(/^\[reflect\] reflected 100/m)
    expect(code).toBe(0)
    // No warning of Node.js among the logs.
    for (const line of stderr.trim().split('\n')) expect(line).toMatch(/^\{/)
  })

  testIf(STRIPS_TYPES ? 'this Node.js runs TypeScript' : null, 'is refused by an old Node.js', async () => {
    const { code, stderr } = await runApp(file, 'virtual:gen')
    expect(stderr).toMatch(
      /^ixy-ts: \S+typed\.ts is TypeScript, which Node\.js [\d.]+ doesn't run; use Node\.js 22\.18 or newer, or JavaScript: a \.mjs or \.js file \[IXY_ERR_SYSTEM\]\n$/,
    )
    expect(code).toBe(4)
  })
})

/** Name, text, the line of the mistake (null: no single one), what is said of it. */
const MISTAKES: readonly (readonly [string, string, number | null, RegExp])[] = [
  ['syntax', 'export default {\n  name: [),\n}\n', 2, /SyntaxError: Unexpected token '\)'/],
  ['wrong-import', "import { nothing } from 'ixy-ts'\nexport default nothing\n", 1, /'nothing'/],
  ['missing-import', "import './gone.mjs'\n", null, /Cannot find module '.*gone\.mjs'/],
  ['top-level', "\nthrow new Error('at the top')\n", 2, /Error: at the top/],
  ['stray', `${appWith({})}\nsetTimeout(() => { throw new Error('stray') }, 300)\n`, 14, /Error: stray/],
  ['no-export', 'export const app = 1\n', null, /it has no app as its default export; .*docs/],
  ['no-ports', "export default { name: 'x', make() {} }\n", null, /app x needs ports/],
  ['offloads', appWith({ rest: 'offloads: true,' }), null, /offloads is 'uses' or 'understands'/],
  ['two-names', appWith({ rest: "counters: ['a', 'a']," }), null, /names a counter twice/],
  ['no-step', appWith({}).replace('step()', 'stop()'), null, /make\(\) of app faulty returns no step\(\)/],
  ['in-plan', appWith({ rest: "plan() { throw new Error('no plan') }," }), 2, /Error: no plan/],
  [
    'few-jobs',
    appWith({ rest: 'plan: () => [],' }),
    null,
    /plan\(\) has 0 jobs for 1 worker; return one job/,
  ],
  ['function-job', appWith({ rest: 'plan: () => [() => 1],' }), null, /can't be handed to a worker/],
  ['in-make', appWith({ make: 'undefined.name' }), 5, /TypeError: Cannot read properties of undefined/],
  ['in-rehearsal', appWith({ step: "throw new RangeError('soon')" }), 8, /RangeError: soon/],
  ['in-run', appWith({ step: "if (!rehearsal) throw 'late'\nreturn 0" }), null, /: late \[/],
  ['exits', appWith({ step: 'if (!rehearsal) process.exit(0)\nreturn 0' }), null, /has ended its own thread/],
  ['endless-rehearsal', appWith({ step: 'for (;;);' }), 8, /app faulty doesn't come back from a step/],
  [
    'endless',
    appWith({ step: 'while (!rehearsal);\nreturn 0' }),
    8,
    /app faulty doesn't come back from a step/,
  ],
  ['result', appWith({}).replace('step()', 'result: () => () => 1,\n step()'), null, /could not be cloned/],
]

/** Of a card that is there while the app runs, and given back after. */
const WITH_CARD = /^in-|^endless|^exits|jobs?$/

/** Runs an app with a mistake in it, which must be told in one line, with file and line. */
async function tells([name, text, line, message]: (typeof MISTAKES)[number], device: string): Promise<void> {
  const file = writeApp(folder, `${name}.mjs`, text)
  const started = performance.now()
  const args = [device, '--json', '--log-level', 'silent', '-d', name === 'result' ? '0.2' : '5']
  const { code, stdout, stderr } = await runApp(file, ...args)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(message)
  expect(stderr).toMatch(/^ixy-ts: .* \[IXY_ERR_APP\]\n$/)
  expect(stderr).toContain(line === null ? file : `${file}:${line}`)
  expect(code).toBe(1)
  expect(objects(stdout, 'end')).toEqual([
    expect.objectContaining({
      reason: 'error',
      error: expect.objectContaining({ code: 'IXY_ERR_APP' }) as unknown,
    }),
  ])
  expect(performance.now() - started).toBeLessThan(30_000)
}

describe('a mistake is told in one line, with file and line', () => {
  test.each(MISTAKES.filter(([name]) => !WITH_CARD.test(name)))('%s', (...mistake) =>
    tells(mistake, 'virtual:gen'),
  )

  test('a file that is not there, and options that nobody reads', async () => {
    const missing = await runApp(path.join(folder, 'no.mjs'), 'virtual:gen')
    expect(missing.stderr).toMatch(/^ixy-ts: there is no file \S+no\.mjs; .* \[IXY_ERR_FILE\]\n$/)
    expect(missing.code).toBe(2)
    const file = writeApp(folder, 'plain.mjs', appWith({}))
    const { code, stderr } = await runApp(file, 'virtual:gen', '--', '--fast')
    expect(stderr).toMatch(
      /app faulty takes no options \(--fast\); leave out what follows -- \[IXY_ERR_USAGE\]/,
    )
    expect(code).toBe(2)
    expect((await ixy('run')).stderr).toMatch(/missing required argument 'app-file'; see ixy-ts run --help/)
  })
})

describe('so it is when there is a card, and whatever the app does, that is given back', () => {
  let directory: string
  let stop: AbortController
  let loop: Promise<void>
  let nic: VirtualNic
  let socket: string
  /** Whether the card may master the bus, after each write to its configuration space. */
  let masters: boolean[]

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
    socket = path.join(directory, 'nic.sock')
    const ledger = new Ledger()
    const wire = parseWires('gen', { ledger, linkMbit: 10_000, work: [], log: () => undefined })
    nic = new VirtualNic({ name: 'nic', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), wire, strict: true })
    masters = []
    const { config } = nic.device
    const write = config.write.bind(config)
    jest.spyOn(config, 'write').mockImplementation((...args) => {
      write(...args)
      masters.push(config.busMaster)
    })
    nic.listen(socket)
    stop = new AbortController()
    loop = runLoop([nic], stop.signal)
  })
  afterEach(async () => {
    stop.abort()
    await loop
    nic.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test.each(MISTAKES.filter(([name]) => WITH_CARD.test(name)))('%s', async (...mistake) => {
    await tells(mistake, `vfio-user:${socket}`)
    // A plan that fails at once does so before a card is touched.
    if (mistake[0] !== 'in-plan') expect(masters).toContain(true)
    expect(masters.at(-1) ?? false).toBe(false)
    expect(nic.breaches()).toEqual([])
  })
})
