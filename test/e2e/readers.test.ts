/** Whoever reads stdout and stderr may be slow, stopped or gone. */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { type Ended, Launched, pipe, readUntil, shut, terminal, type, waiting } from './descriptors.ts'
import { LAUNCHER, objects, temporaryDirectory } from './support.ts'

const ixy = [process.execPath, LAUNCHER]
/** Some lines of output every second, whose number a slow reader doesn't change. */
const FORWARD = ['forward', 'virtual:gen,rate=1kpps', 'virtual:sink', '-i', '0.01', '--mode', 'interrupt']
/** Milliseconds in which a signal has to end a run, whoever doesn't read; and the test machine's share. */
const STOP = 2000
const SECOND = 500
const SLACK = 500

interface End {
  readonly reason: string
  readonly intervalsDropped?: number
}

function endOf(text: string): End | undefined {
  return objects(text, 'end')[0] as unknown as End | undefined
}

/** Resolves when nothing more arrives at the test's end of a pipe or terminal that it doesn't read. */
async function blocked(near: number): Promise<void> {
  let before = -1
  for (let same = 0; same < 5;) {
    const now = waiting(near)
    same = now === before ? same + 1 : 0
    before = now
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const directory = temporaryDirectory()

describe('a reader of stdout that sleeps', () => {
  const out = `${directory}/out`
  let pipeline: Promise<{ readonly stderr: string }>
  // It sleeps while the test before is at work.
  beforeAll(() => {
    const run = `'${ixy.join("' '")}' ${FORWARD.join(' ')} --json -d 1 --log-level error`
    const script = `{ ${run}; echo "exit $?" >&2; } | (sleep 4; cat) > '${out}'`
    pipeline = promisify(execFile)('sh', ['-c', script], { timeout: 60_000 })
  })

  test('gets everything when it wakes, through a pipe of 4 KiB', async () => {
    const { near, far } = pipe()
    const log = pipe(1 << 16)
    const tool = new Launched([...ixy, ...FORWARD, '--json', '-d', '0.5'], ['ignore', far, log.far])
    const told = await readUntil(log.near, (text) => text.includes('waiting for the reader of stdout'))
    expect(told).toMatch(/"level":40.*waiting for the reader of stdout, \d+ bytes to go; Ctrl-C gives up/)
    const text = await readUntil(near)
    expect(endOf(text)).toMatchObject({ reason: 'duration', error: null })
    expect(endOf(text)).not.toHaveProperty('intervalsDropped')
    expect(objects(text, 'start')).toHaveLength(1)
    expect((await tool.ended).code).toBe(0)
  })

  test('gets everything in a pipeline of the shell', async () => {
    const { stderr } = await pipeline
    expect(stderr).toBe('exit 0\n')
    expect(endOf(readFileSync(out, 'utf8'))).toMatchObject({ reason: 'duration' })
  })

  test('gets everything through a FIFO, also help', () => {
    const fifo = `${directory}/fifo`
    const script = `mkfifo '${fifo}'; (exec 4<'${fifo}'; sleep 1; cat <&4) & '${ixy.join("' '")}' forward --help >'${fifo}'; echo "exit $?"; wait`
    const { stdout } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 })
    expect(stdout).toMatch(/^exit 0$/m)
    expect(stdout).toContain('--expect-loss 0\n')
  })
})

describe('a reader of stdout that never reads', () => {
  let near = -1
  let log = -1
  let tool: Launched

  beforeEach(async () => {
    const out = pipe()
    const errors = pipe(1 << 16)
    near = out.near
    log = errors.near
    tool = new Launched([...ixy, ...FORWARD, '--json'], ['ignore', out.far, errors.far])
    await readUntil(log, (text) => text.includes('link up'))
    await blocked(near)
  })

  // The others end a run in the same way: signals.test.ts.
  test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the run, exit 1', async (signal) => {
    const sent = tool.kill(signal)
    const { code, at } = await tool.ended
    expect(at - sent).toBeLessThan(STOP + SLACK)
    expect(code).toBe(1)
    expect(await readUntil(log)).toMatch(
      /^ixy-ts: the output is not complete: the last \d+ bytes were not read .* \[IXY_ERR_OUTPUT\]$/m,
    )
  })

  test('a second signal ends the process at once, exit 1', async () => {
    const first = tool.kill('SIGTERM')
    while (performance.now() - first < 600) await new Promise((resolve) => setTimeout(resolve, 10))
    const sent = tool.kill('SIGTERM')
    const { code, at } = await tool.ended
    expect(at - sent).toBeLessThan(SECOND)
    expect(code).toBe(1)
    expect(await readUntil(log)).toMatch(
      /^ixy-ts: a second signal: .* bytes of output were not read \[IXY_ERR_STOP\]$/m,
    )
  })

  test('that goes away ends the run cleanly', async () => {
    const closed = performance.now()
    shut(near)
    const { code, at } = await tool.ended
    expect(at - closed).toBeLessThan(STOP + SLACK)
    expect(code).toBe(0)
  })
})

test('after --duration a run whose reader never reads is over and waits; Ctrl-C gives up', async () => {
  const out = pipe()
  const errors = pipe(1 << 16)
  const short = new Launched([...ixy, ...FORWARD, '-d', '0.5'], ['ignore', out.far, errors.far])
  const children = `/proc/${short.pid}/task/${short.pid}/children`
  await readUntil(errors.near, (text) => text.includes('waiting for the reader'))
  // The card has been given back.
  expect(readFileSync(children, 'utf8')).toBe('')
  const sent = short.kill('SIGINT')
  const { code, at } = await short.ended
  expect(at - sent).toBeLessThan(STOP + SLACK)
  expect(code).toBe(1)
})

describe('a stderr that nobody reads', () => {
  test('does not hold up a run, nor its end', async () => {
    const { far } = pipe()
    writeSync(far, '\n'.repeat(4096))
    const out = pipe(1 << 20)
    const flood = [
      'forward',
      'virtual:gen,rate=1kpps,fault=linkflap=100ms',
      'virtual:sink',
      ...['--json', '-i', '0.1'],
    ]
    const tool = new Launched([...ixy, ...flood], ['ignore', out.far, far])
    let links = 0
    await readUntil(out.near, (text) => (links = text.split('"event":"link"').length) > 5)
    expect(links).toBeGreaterThan(5)
    const sent = tool.kill('SIGTERM')
    expect(endOf((await readUntil(out.near)).replace(/^[^{]*\n/, ''))).toMatchObject({
      reason: 'signal',
      error: null,
    })
    const { code, at } = await tool.ended
    expect(at - sent).toBeLessThan(STOP + SLACK)
    expect(code).toBe(0)
  })
})

describe('a terminal', () => {
  const start = async (): Promise<{ near: number; tool: Launched }> => {
    const { near, far, path } = terminal()
    // setsid makes it the controlling terminal: only then do closing and Ctrl-C send signals.
    const tool = new Launched(
      ['setsid', '-w', '-c', 'sh', '-c', `exec '${ixy.join("' '")}' ${FORWARD.join(' ')}`],
      [far, far, far],
    )
    expect(path).toMatch(/^\/dev\/pts\//)
    await readUntil(near, (text) => /RX:.*\n.*RX:/s.test(text))
    return { near, tool }
  }

  test.each([
    ['Ctrl-C', '\x03'],
    ['Ctrl-\\', '\x1c'],
  ])('%s is a clean stop', async (_, key) => {
    const { near, tool } = await start()
    type(near, key)
    const text = await readUntil(near)
    expect(text).toMatch(/^forwarded [\d,]+ packets? /m)
    expect((await tool.ended).code).toBe(0)
  })

  test('that is closed is a clean stop', async () => {
    const { near, tool } = await start()
    const closed = performance.now()
    shut(near)
    const { code, at } = await tool.ended
    expect(code).toBe(0)
    expect(at - closed).toBeLessThan(STOP + SLACK)
  })

  test('that is stopped with ^S holds up nothing', async () => {
    const { near, far } = terminal()
    const tool = new Launched([...ixy, ...FORWARD], [far, far, far])
    await readUntil(near, (text) => /RX:.*\n.*RX:/s.test(text))
    type(near, '\x13')
    await blocked(near)
    const sent = tool.kill('SIGTERM')
    const ended: Ended = await tool.ended
    expect(ended.at - sent).toBeLessThan(STOP + SLACK)
    expect(ended.code).toBe(1)
  })
})
