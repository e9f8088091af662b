/** Worker threads and child processes of a test can't run TypeScript. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(__dirname, '../../..')

/** Bundles a file, by default of this directory, and returns the path of the result, whose folder the caller removes. */
export function bundle(name: string, folder = __dirname): string {
  // Below node_modules, where the bundle finds koffi.
  const directory = join(root, `node_modules/.cache/ixy-ts-test-${process.pid}`)
  execFileSync(process.execPath, ['build.mjs', join(folder, name)], {
    cwd: root,
    env: { ...process.env, OUTDIR: directory },
  })
  return join(directory, name.replace(/ts$/, 'cjs'))
}
