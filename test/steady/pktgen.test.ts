/** A generator at work leaves nothing to the garbage collector, whatever it asks the clock for. */
import { mkdtempSync } from 'node:fs'
import path from 'node:path'
import { steadyRun } from './steady-run.ts'
import { temporaryDirectory } from '../e2e/support.ts'

const folder = temporaryDirectory()
/** A time that is allocated in each step makes several collections a second. One may be the compilers', which other work has kept waiting. */
const FEW = 1

test.each([
  ['flat out', ['virtual:sink', '--rate', 'max', '--flows', '1000']],
  ['at a rate', ['virtual:sink', '--rate', '1Mpps']],
  ['measuring round trips', ['virtual:loop', '--rate', '500kpps', '--latency']],
])(
  '%s',
  async (_, args) => {
    const directory = mkdtempSync(path.join(folder, 'run'))
    const { code, stdout, early, steady } = await steadyRun(directory, ['pktgen', ...args], FEW)
    expect(code).toBe(0)
    expect(Number(/^sent ([\d,]+)/m.exec(stdout)?.[1].replaceAll(',', ''))).toBeGreaterThan(100_000)
    expect(early).toBeGreaterThan(0)
    expect(steady.slice(FEW)).toEqual([])
  },
  60_000,
)
