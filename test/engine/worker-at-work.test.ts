/** What V8 has compiled of a worker in its rehearsal is good for all of a run: nothing throws it away. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import path from 'node:path'
import { canWaitForWords } from '../../src/linux/futex.ts'
import { testIf } from '../skip.ts'

const root = path.join(__dirname, '..', '..')
/** Below the repository, where koffi is found. */
let folder: string
beforeAll(() => {
  folder = mkdtempSync(path.join(root, '.cache', 'worker-at-work-'))
  execFileSync(process.execPath, ['build.mjs', path.join(__dirname, 'worker-at-work.ts')], {
    cwd: root,
    env: { ...process.env, OUTDIR: folder },
  })
})
afterAll(() => rmSync(folder, { recursive: true }))

const reason = canWaitForWords() ? null : 'needs Linux 5.16 (futex_waitv)'
for (const mode of ['poll', 'adaptive', 'interrupt'])
  testIf(reason, `mode ${mode}, on the CPU of its device: loaded, idle, asleep, and at the end`, () => {
    const flags = ['--trace-deopt', path.join(folder, 'worker-at-work.cjs'), mode]
    const [before, during, after] = execFileSync(process.execPath, flags, { encoding: 'utf8' }).split(
      '=== at work ===\n',
    )
    // V8 does report: of the rehearsal, and of the code that goes with the thread.
    expect(before + after).toContain('reason: ')
    expect(after).toMatch(/^moved 48192$/m)
    // Where a loop is entered again, V8 goes on from code of one kind to that of another.
    const found = during.split('\n').filter((line) => line.includes('reason: '))
    expect(found.filter((line) => !line.includes('on stack replacement'))).toEqual([])
  })
