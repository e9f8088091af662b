/** Worker threads and child processes of a test can't run TypeScript. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const root = join(__dirname, '../../..')

/** Bundles a file of this directory and returns the path of the result, which the caller removes. */
export function bundle(name: string): string {
  // Below node_modules, where the bundle finds koffi.
  const directory = join(root, 'node_modules/.cache/ixy-ts-test')
  mkdirSync(directory, { recursive: true })
  const output = join(directory, `${name}-${process.pid}.cjs`)
  execFileSync(join(root, 'node_modules/.bin/esbuild'), [
    join(__dirname, name),
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--external:koffi',
    '--log-level=error',
    `--outfile=${output}`,
  ])
  return output
}
