/** An app with its step in WebAssembly, docs/examples/hop.ts: what goes through it is what a plain reader of captures expects. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { transformSync } from 'esbuild'
import { runApp, writeApp } from './apps.ts'
import { mixedFrames, readCapture, writeCapture } from './captures.ts'
import { objects, temporaryDirectory } from './support.ts'

const ROOT = path.join(__dirname, '../..')
const EXAMPLES = path.join(ROOT, 'docs/examples')
const folder = temporaryDirectory()
const file = (name: string): string => path.join(folder, name)

/** As docs/apps.md says, all of them by one start of the compiler. Optimising takes as long as all the rest. */
function compile(...sources: readonly (readonly [source: string, output: string, ...optimised: string[]])[]) {
  const options = '--noAssert --runtime stub --importMemory --debug'.split(' ')
  const all = sources.map(([source, output, ...optimised]) => [
    source,
    '-o',
    output,
    ...optimised,
    ...options,
  ])
  const script = `import asc from 'assemblyscript/asc'
    for (const args of ${JSON.stringify(all)}) {
      const { error, stderr } = await asc.main(args)
      if (error !== null) throw new Error(stderr.toString(), { cause: error })
    }`
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: ROOT })
}

/** JavaScript, as not every Node.js runs TypeScript. */
function app(name: string, wasm: string): string {
  const text = readFileSync(path.join(EXAMPLES, 'hop.ts'), 'utf8').replaceAll('hop.wasm', wasm)
  return writeApp(folder, name, transformSync(text, { loader: 'ts', format: 'esm' }).code)
}

function sumOf(header: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < header.length; i += 2) sum += (header[i] << 8) | header[i + 1]
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  return sum
}

/** A header of IPv4 in each frame that says it has one, but for every seventh; every fifth has no hop left. */
const frames = mixedFrames(3000).map((frame, i) => {
  if (frame[12] !== 8 || i % 7 === 0) return frame
  frame.set([0x45, 0, 0, 46, 0, i & 255, 0, 0, i % 5 === 0 ? i % 2 : 2 + (i % 250), 17, 0, 0], 14)
  const sum = ~sumOf(frame.subarray(14, 34)) & 0xffff
  frame.set([sum >> 8, sum & 255], 24)
  return frame
})
const hasHeader = (frame: Uint8Array): boolean =>
  frame[12] === 8 && frame[13] === 0 && frame[14] === 0x45 && frame[17] === 46

const expected = frames
  .filter((frame) => !hasHeader(frame) || frame[22] > 1)
  .map((frame) => {
    if (!hasHeader(frame)) return Buffer.from(frame)
    const head = [...frame.subarray(6, 12), ...frame.subarray(0, 6)]
    const hopped = Buffer.from([...head, ...frame.subarray(12)])
    hopped[22]--
    hopped.set([0, 0], 24)
    const sum = ~sumOf(hopped.subarray(14, 34)) & 0xffff
    hopped.set([sum >> 8, sum & 255], 24)
    return hopped
  })

describe('hop', () => {
  beforeAll(() => {
    writeCapture(file('in.pcap'), frames)
    const text = readFileSync(path.join(EXAMPLES, 'wasm/hop.ts'), 'utf8')
    writeApp(folder, 'leak.ts', text.replace('    free(expired, received - passed)\n', ''))
    writeApp(folder, 'ixy-ts.ts', readFileSync(path.join(EXAMPLES, 'wasm/ixy-ts.ts'), 'utf8'))
    const trap = 'export function step(): i32 {\n  if (load<i32>(0) === 0) unreachable()\n  return 0\n}\n'
    writeApp(folder, 'trap.ts', trap)
    compile(
      [path.join(EXAMPLES, 'wasm/hop.ts'), file('hop.wasm'), '-O3'],
      [file('leak.ts'), file('leak.wasm')],
      [file('trap.ts'), file('trap.wasm')],
    )
    app('hop.mjs', 'hop.wasm')
  }, 60_000)

  test.each([
    ['in WebAssembly', []],
    ['with single packets', ['--batch-size', '1']],
    ['with each of its calls looked at', ['--check']],
    ['in TypeScript', ['--backend', 'ts']],
  ])('every packet comes out as it should, and in order: %s', async (_, options) => {
    const devices = [`virtual:replay=${file('in.pcap')}`, `virtual:record=${file('out.pcap')}`]
    const { code, stdout } = await runApp(file('hop.mjs'), ...devices, '--json', ...options)
    expect(code).toBe(0)
    const [end] = objects(stdout, 'end')
    const expired = frames.length - expected.length
    expect((end['app'] as { counters: unknown }).counters).toEqual({ passed: expected.length, expired })
    const out = readCapture(file('out.pcap'))
    expect(out.length).toBe(expected.length)
    expect(out.findIndex((frame, i) => !expected[i].equals(frame))).toBe(-1)
  })

  test('what it neither sends nor frees is found, and where it got it', async () => {
    const devices = [`virtual:replay=${file('in.pcap')}`, 'virtual:sink']
    const { code, stderr } = await runApp(app('leak.mjs', 'leak.wasm'), ...devices, '--check')
    expect(code).not.toBe(0)
    expect(stderr).toMatch(
      /leak: .* (\d+) in all, neither freed nor transmitted: \1 from \S*(pass|step) \(wasm-function\[\d+\]:0x[0-9a-f]+\);.*\[IXY_ERR_CHECK\]/,
    )
  }, 30_000)

  test('a trap is told with its file and function', async () => {
    const { code, stderr } = await runApp(app('trap.mjs', 'trap.wasm'), 'virtual:gen', 'virtual:sink')
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^ixy-ts: \S+\/trap\.wasm: unreachable, in \S*step \(wasm-function\[\d+\]:0x\w+\) \[IXY_ERR_APP\]\n$/m,
    )
  }, 30_000)
})
