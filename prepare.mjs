// What npm runs after it has installed here, and before it packs: builds dist/, so that no package lacks it. Where the packages
// to build with are missing, in a fresh clone or below `npm install --global git+…` (which hands --global on to the
// installation that is to fetch them), they are installed first.
import { spawnSync } from 'node:child_process'
import { lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

function hasBuildTools() {
  try {
    return createRequire(import.meta.url).resolve('esbuild') !== undefined
  } catch {
    return false
  }
}

if (!hasBuildTools()) {
  const npm = process.env.npm_execpath
  if (npm === undefined) throw new Error('run this as: npm run prepare')
  const options = [
    '--no-global',
    '--include=dev',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  const { status } = spawnSync(process.execPath, [npm, 'ci', ...options], { stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(1)
}
await import('./build.mjs')

// Below `npm install --global git+…`, npm 10 and 11 have linked their temporary clone to where the package is about to be unpacked,
// and would unpack it into the clone, which they then delete.
const { npm_config_global: global, npm_config_global_prefix: prefix } = process.env
if (global === 'true' && prefix !== undefined && /[/\\]_cacache[/\\]tmp[/\\]/.test(process.cwd())) {
  const link = join(prefix, 'lib/node_modules/ixy-ts')
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) {
    unlinkSync(link)
    mkdirSync(link)
  }
}
