/** Each signal, at start-up and while running: what it does, and what it doesn't. */
import { existsSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { Launched, pipe, readUntil, terminal } from './descriptors.ts'
import { LAUNCHER, Tool, hasEnded, objects, temporaryDirectory } from './support.ts'

const FORWARD = [
  ...['forward', 'virtual:gen,rate=1kpps', 'virtual:sink', '--mode', 'interrupt'],
  ...['-i', '0.05', '--json'],
]
const directory = temporaryDirectory()
const env = { IXY_TS_RUNTIME_DIR: directory }

/** Resolves once the signal has been taken: it is neither pending nor blocked any more, and the process goes on. */
async function alive(tool: Tool): Promise<void> {
  const { length } = tool.stdout
  await tool.until(new RegExp(`^[^]{${length}}[^]*"interval"[^]*"interval"`))
}

describe('SIGUSR1, SIGUSR2, SIGALRM and SIGPIPE', () => {
  async function endureEach(tool: Tool): Promise<string> {
    await tool.until(/"interval"/)
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGPIPE'] as const) {
      tool.process.kill(signal)
      await alive(tool)
    }
    const { code, stdout, stderr } = await tool.kill('SIGTERM')
    expect(stderr).not.toMatch(/debugger/i)
    expect(code).toBe(0)
    return stdout
  }
  const cleanEnd = [{ reason: 'signal', error: null }]

  test('are ignored by a run and by stats, and open no debugger', async () => {
    const watched = new Tool(FORWARD, { env })
    await watched.until(/"interval"/)
    await endureEach(new Tool(['stats', '-i', '0.05', '--json'], { env }))
    expect(objects(await endureEach(watched), 'end')).toMatchObject(cleanEnd)
  })

  test('are ignored by vnic', async () => {
    const socket = `${directory}/nic.sock`
    const vnic = new Tool(['vnic', socket, '--wire', 'sink', '-i', '0.05', '--json'], { env })
    expect(objects(await endureEach(vnic), 'end')).toMatchObject(cleanEnd)
    expect(existsSync(socket)).toBe(false)
  })
})

/** Inodes of TCP sockets that listen, by /proc/net/tcp: the state is 0A. */
function listening(): string[] {
  return ['tcp', 'tcp6'].flatMap((file) =>
    readFileSync(`/proc/net/${file}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => fields[9]),
  )
}

/** True if the process has a debugger's port open, or another one. */
function listens(pid: number): boolean {
  const inodes = listening()
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
    return inode !== undefined && inodes.includes(inode)
  })
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file)
  } catch {
    // Closed meanwhile.
    return ''
  }
}

test.each([0, 30, 60, 100])('SIGUSR1 after %i ms leaves no debugger behind', async (delay) => {
  const tool = new Tool(FORWARD, { env })
  // The moment is the point of this test: the outcome must be the same at any.
  await new Promise((resolve) => setTimeout(resolve, delay))
  tool.process.kill('SIGUSR1')
  // Before Node.js has begun the signal ends the process, as any other program.
  const by = await Promise.race([
    tool.end().then(({ signal }) => signal),
    tool.until(/"interval"/).catch(() => 'SIGUSR1'),
  ])
  if (by === 'SIGUSR1') return
  const deadline = performance.now() + 5000
  while (listens(tool.pid) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  expect(listens(tool.pid)).toBe(false)
  expect((await tool.kill('SIGTERM')).code).toBe(0)
})

test('an option of Node.js that asks for a debugger still gets one', async () => {
  const tool = new Tool(['--version'], { env: { ...env, NODE_OPTIONS: '--inspect=127.0.0.1:0' } })
  expect((await tool.end()).stderr).toMatch(/Debugger listening on ws:\/\/127\.0\.0\.1/)
})

// SIGTERM has ended those above.
describe.each(['SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('%s', (signal) => {
  test.each([
    ['forward', FORWARD],
    ['vnic', ['vnic', `${directory}/${signal}.sock`, '--wire', 'sink', '-i', '0.05', '--json']],
  ])('ends %s cleanly', async (_, args) => {
    const tool = new Tool(args, { env })
    await tool.until(/"interval"/)
    const { code, stdout } = await tool.kill(signal)
    expect(objects(stdout, 'end')).toMatchObject([{ reason: 'signal', error: null }])
    expect(code).toBe(0)
    expect(existsSync(`${directory}/${signal}.sock`)).toBe(false)
  })
})

describe('a signal while the program is being loaded', () => {
  /** As the launcher comes to load the program. */
  const atLoad = `${directory}/at-load.cjs`
  /** As the program loads the app. */
  const app = `${directory}/app.mjs`
  beforeAll(() => {
    const send = (signal: string): string => `process.kill(process.pid, '${signal}')`
    writeFileSync(
      atLoad,
      `const Module = require('node:module')
      const load = Module._load
      Module._load = function (request) {
        if (request === '../dist/load.cjs') ${send('SIGTERM')}
        return load.apply(this, arguments)
      }`,
    )
    writeFileSync(app, `${send('SIGINT')}; await new Promise((resolve) => setTimeout(resolve, 30_000))`)
  })

  test.each([
    ['SIGTERM', 'forward', FORWARD, ['--require', atLoad]],
    ['SIGINT', 'run, whose app waits for something', ['run', app, 'virtual:sink', '--json'], []],
  ])('%s ends %s cleanly, too', async (_, __, args, flags) => {
    const { code, stdout } = await new Tool(args, { env, flags }).end()
    expect(objects(stdout)).toMatchObject([{ event: 'end', reason: 'signal', error: null }])
    expect(code).toBe(0)
  })

  test('vnic, which is to run again in its own place, is ended by it', async () => {
    const args = ['vnic', `${directory}/confined.sock`, '--wire', 'sink', '--confine', '-d', '1']
    const { signal, stdout } = await new Tool(args, { env, flags: ['--require', atLoad] }).end()
    expect([signal, stdout]).toEqual(['SIGTERM', ''])
  })
})

describe('signals that were ignored when it was started', () => {
  test('SIGINT and SIGQUIT stay ignored, SIGHUP ends the run', async () => {
    const out = pipe(1 << 20)
    const script = `trap '' INT QUIT; exec '${LAUNCHER}' ${FORWARD.join(' ')}`
    const tool = new Launched(['sh', '-c', script], ['ignore', out.far, 'ignore'], env)
    await readUntil(out.near, (text) => text.includes('"interval"'))
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
      tool.kill(signal)
      await readUntil(out.near, (text) => text.split('"interval"').length > 4)
    }
    tool.kill('SIGHUP')
    expect(objects((await readUntil(out.near)).replace(/^[^{][^\n]*\n/, ''), 'end')).toMatchObject([
      { reason: 'signal' },
    ])
    expect((await tool.ended).code).toBe(0)
  })

  test('nohup: the terminal is closed, the run goes on', async () => {
    const { near, far } = terminal()
    const log = `${directory}/log`
    const script = `cd '${directory}'; nohup '${LAUNCHER}' ${FORWARD.join(' ')} >'${log}' 2>&1 & echo "pid $!"; sleep 600`
    const shell = new Launched(['setsid', '-w', '-c', 'sh', '-c', script], [far, far, far], env)
    const pid = Number(/pid (\d+)/.exec(await readUntil(near, (text) => /pid \d+\r/.test(text)))?.[1])
    const intervals = (): number => readFileSync(log, 'utf8').split('"interval"').length - 1
    const more = async (): Promise<void> => {
      const before = existsSync(log) ? intervals() : 0
      const deadline = performance.now() + 20_000
      while (!existsSync(log) || intervals() <= before + 2) {
        if (performance.now() > deadline) throw new Error(`nothing new in ${readFileSync(log, 'utf8')}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    try {
      await more()
      shell.kill('SIGKILL')
      await shell.ended
      process.kill(pid, 'SIGHUP')
      await more()
    } finally {
      process.kill(pid, 'SIGTERM')
    }
    const deadline = performance.now() + 5000
    while (!hasEnded(pid) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(objects(readFileSync(log, 'utf8').replace(/^[^{].*\n/gm, ''), 'end')).toMatchObject([
      { reason: 'signal' },
    ])
  })
})
