// What npm runs after it has installed here, and before it packs: builds dist/ with the declarations of the library and the manual pages, so that no package lacks them. Where the packages
// to build with are missing, in a fresh clone or below `npm install --global git+…` (which hands --global on to the
// installation that is to fetch them), they are installed first.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

// npm 9 runs it with --ignore-scripts as well.
if (process.env.npm_config_ignore_scripts === 'true') process.exit()

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
await import('./types.mjs')
await import('./packaging/manual.mjs')
