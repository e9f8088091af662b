/** A stop is a stop, whatever doesn't answer: the main thread, a server, the process of a virtual NIC. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Outcome, Tool, objects, temporaryDirectory, becomes, childrenOf, hasEnded } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)
/** Milliseconds in which a stop has to end a run; and the test machine's share. */
const STOP = 2000
const SLACK = 500
/** Sleeps between its packets, so that the seconds in which nothing happens cost nothing. */
const FORWARD = ['forward', 'virtual:gen,rate=1kpps', 'virtual:sink', '--mode', 'interrupt', '-i', '0.05']

async function timed(stop: () => Promise<Outcome>): Promise<Outcome & { readonly took: number }> {
  const begin = performance.now()
  const outcome = await stop()
  return { ...outcome, took: performance.now() - begin }
}

describe('a main thread that is stuck', () => {
  /** As soon as the file exists the main thread takes `how` into its own hands. */
  const env = (flag: string, how: string): Record<string, string> => {
    const preload = file(`${flag}.cjs`)
    writeFileSync(
      preload,
      `const { isMainThread } = require('node:worker_threads')
       const { existsSync } = require('node:fs')
       const { dirname } = require('node:path')
       const block = ${how}
       const timer = isMainThread && !String(process.argv[2]).endsWith('vnic-child.cjs') && setInterval(() => {
         if (!existsSync(${JSON.stringify(file(flag))})) return
         clearInterval(timer)
         block()
       }, 10)`,
    )
    return { NODE_OPTIONS: `--require=${preload}` }
  }
  const ASLEEP = '() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'
  const BUSY = '() => { for (;;); }'
  const FOR_A_WHILE = '() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)'

  test.each([
    ['in a call', ASLEEP, ['pktgen', 'virtual:sink', '--rate', '1kpps', '-i', '0.05']],
    ['in a loop', BUSY, FORWARD],
    ['in a call', ASLEEP, ['vnic', file('nic.sock'), '--wire', 'sink', '-i', '0.05']],
  ])('%s: the watchdog ends the process after a signal', async (where, how, args) => {
    const flag = `${args[0]}-${where.replaceAll(' ', '-')}`
    const tool = new Tool(args, { env: env(flag, how) })
    await tool.until(/RX:.*\n.*RX:/s)
    const nics = childrenOf(tool.pid)
    const lines = tool.stdout.length
    writeFileSync(file(flag), '')
    // The timer of the preload has fired, and nothing is printed any more.
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { code, stdout, stderr, took } = await timed(() => tool.kill('SIGTERM'))
    expect(stdout.slice(lines)).not.toContain('packets')
    expect(stderr).toMatch(/^ixy-ts: the main thread takes no signal: .*\[IXY_ERR_STOP\]$/m)
    expect(code).toBe(1)
    expect(took).toBeLessThan(STOP + SLACK)
    for (const pid of nics) expect(await goneWithin(pid, 5000)).toBe(true)
  })

  test('after --duration, without a signal', async () => {
    // In a run that may sleep the watchdog looks twice a second, and ends it up to a second later.
    const polling = FORWARD.map((word) => (word === 'interrupt' ? 'poll' : word))
    const tool = new Tool([...polling, '-d', '0.5'], { env: env('duration', ASLEEP) })
    await tool.until(/RX:/)
    writeFileSync(file('duration'), '')
    const { code, stderr, took } = await timed(() => tool.end())
    expect(stderr).toMatch(/^ixy-ts: the end of the run took too long: .*\[IXY_ERR_STOP\]$/m)
    expect(code).toBe(1)
    expect(took).toBeLessThan(500 + STOP + SLACK)
  })

  test('for a while only, and nobody has asked for an end: the run goes on', async () => {
    const tool = new Tool([...FORWARD, '--json'], { env: env('while', FOR_A_WHILE) })
    await tool.until(/"interval"/)
    writeFileSync(file('while'), '')
    // An interval that is as long as the pause.
    await tool.until(/"tx":\{"packets":(19\d\d|2\d{3}),/)
    const { code, stdout } = await tool.kill('SIGTERM')
    expect(objects(stdout, 'end')).toMatchObject([{ reason: 'signal', error: null }])
    expect(code).toBe(0)
  })
})

function goneWithin(pid: number, milliseconds: number): Promise<boolean> {
  return becomes(() => hasEnded(pid), milliseconds)
}

describe('a vfio-user server', () => {
  const root = path.join(__dirname, '..', '..')
  // Below node_modules, where the bundle finds koffi.
  const bundle = path.join(root, `node_modules/.cache/ixy-ts-slow-${process.pid}`)
  let server: ChildProcess | null = null
  afterAll(() => rmSync(bundle, { recursive: true, force: true }))
  afterEach(() => server?.kill('SIGKILL'))

  test('that takes 0.3 s for each answer does not defer a signal while it is set up', async () => {
    execFileSync(process.execPath, ['build.mjs', path.join(__dirname, 'slow-nic.ts')], {
      cwd: root,
      env: { ...process.env, OUTDIR: bundle },
    })
    server = fork(path.join(bundle, 'slow-nic.cjs'), [file('slow.sock'), '300'])
    await once(server, 'message')
    const tool = new Tool(['pktgen', `vfio-user:${file('slow.sock')}`, '--json'])
    await once(server, 'message')
    const { code, stdout, took } = await timed(() => tool.kill('SIGTERM'))
    expect(objects(stdout)).toMatchObject([{ event: 'end', reason: 'signal', error: null }])
    expect(code).toBe(0)
    expect(took).toBeLessThan(STOP + SLACK)
  })

  test.each(['SIGTERM', null])('that is stopped defers no end (%s)', async (signal) => {
    const vnic = new Tool(['vnic', file(`${signal}.sock`), '--wire', 'sink', '--json', '-i', '0.05'])
    await vnic.until(/"interval"/)
    const duration = signal === null ? ['-d', '0.5'] : []
    const tool = new Tool([
      ...['forward', 'virtual:gen,rate=1kpps', `vfio-user:${file(`${signal}.sock`)}`],
      ...['--mode', 'interrupt', '--json', '-i', '0.05', ...duration],
    ])
    await tool.until(/"interval"/)
    vnic.process.kill('SIGSTOP')
    if (signal !== null) await tool.until(/hasn't answered/, 'stderr')
    const { code, stdout, took } = await timed(() => (signal === null ? tool.end() : tool.kill('SIGTERM')))
    expect(took).toBeLessThan((signal === null ? 500 : 0) + STOP + SLACK)
    expect(objects(stdout, 'end')).toMatchObject([
      { reason: 'error', error: { code: 'IXY_ERR_DEVICE_GONE' } },
    ])
    expect(code).toBe(1)
    vnic.process.kill('SIGCONT')
    expect((await vnic.kill('SIGTERM')).code).toBe(0)
  })
})

test('the process of a virtual NIC that is stopped defers no end, and goes', async () => {
  const tool = new Tool(['pktgen', 'virtual:sink', '--rate', '1kpps', '--json', '-i', '0.05'])
  await tool.until(/"interval"/)
  const [nic] = childrenOf(tool.pid)
  process.kill(nic, 'SIGSTOP')
  const { code, stdout, took } = await timed(() => tool.kill('SIGTERM'))
  expect(took).toBeLessThan(STOP + SLACK)
  expect(objects(stdout, 'end')).toMatchObject([{ reason: 'error' }])
  expect(code).toBe(1)
  expect(await goneWithin(nic, 1000)).toBe(true)
})
