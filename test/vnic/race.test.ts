/** A guest may rewrite descriptors and frames while the card reads them; see race/race.ts. */
import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import path from 'node:path'

const root = path.join(__dirname, '..', '..')
const folder = path.join(__dirname, 'race')
// Below node_modules, where the bundle finds koffi.
const bundle = path.join(root, `node_modules/.cache/ixy-ts-race-${process.pid}`)
afterAll(() => rmSync(bundle, { recursive: true, force: true }))

const OPERATIONS = process.env.IXY_RACE_OPERATIONS ?? '200000'

test(
  'a guest that rewrites what the card reads gets it to touch nothing but what the guest shares',
  () => {
    execFileSync(
      process.execPath,
      ['build.mjs', ...['race.ts', 'writer.ts'].map((file) => path.join(folder, file))],
      {
        cwd: root,
        env: { ...process.env, OUTDIR: bundle },
      },
    )
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [path.join(bundle, 'race.cjs')], {
      encoding: 'utf8',
      env: { ...process.env, IXY_RACE_OPERATIONS: OPERATIONS },
    })
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' })
    const { operations, intact, sent, received, invalid } = JSON.parse(stdout) as Record<string, number>
    expect(operations).toBeGreaterThanOrEqual(Number(OPERATIONS))
    expect(intact).toBe(true)
    // It was no idle race.
    expect(Math.min(sent, received, invalid)).toBeGreaterThan(100)
  },
  60_000 + Number(OPERATIONS) / 10,
)
