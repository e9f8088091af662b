/** Apps of the user's own: a file anywhere on the disk, whose default export is the app. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { bundle } from '../bundles.ts'
import { IxyError } from '../errors.ts'
import type { importFile } from '../load.ts'
import type { App } from './app.ts'
import { mistake, rememberApp } from './app-mistake.ts'
import { provideLibrary } from './library-hook.ts'
import { loadWasmModule } from './wasm-module.ts'

/** From this version on Node.js runs TypeScript by itself. */
const STRIPS_TYPES = '22.18'

/** Milliseconds for Node.js to look at the syntax of a file. */
const CHECK_DEADLINE = 5_000

/**
 * The app in `file`. In it `import … from 'ixy-ts'` is this package, whatever is installed beside it. Rejects with
 * IXY_ERR_FILE if it can't be read, IXY_ERR_SYSTEM if this Node.js can't run it, IXY_ERR_APP for what is wrong in it.
 */
export async function loadApp(file: string): Promise<App> {
  const real = findFile(file)
  if (/\.[mc]?ts$/.test(real) && !runsTypeScript())
    throw new IxyError(
      'IXY_ERR_SYSTEM',
      `${file} is TypeScript, which Node.js ${process.versions.node} doesn't run`,
      `use Node.js ${STRIPS_TYPES} or newer, or JavaScript: a .mjs or .js file`,
    )
  provideLibrary()
  rememberApp(real)
  let exported: unknown
  try {
    exported = (await loader().importFile(pathToFileURL(real).href)).default
  } catch (error) {
    throw mistake(error, real, error instanceof SyntaxError ? placeOfSyntaxError(real) : null)
  }
  const problem = problemOf(exported)
  if (problem !== null)
    throw new IxyError('IXY_ERR_APP', `${file}: ${problem}`, 'an app is described in docs/apps.md')
  loadWasmModule(exported as App, real)
  return exported as App
}

function loader(): { readonly importFile: typeof importFile } {
  return createRequire(__filename)(bundle('load.cjs')) as ReturnType<typeof loader>
}

function findFile(file: string): string {
  try {
    accessSync(file, constants.R_OK)
    return realpathSync(path.resolve(file))
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    const what = missing ? `there is no file ${file}` : `${file} can't be read`
    throw new IxyError('IXY_ERR_FILE', what, 'name the file of an app: ./reflect.ts', { cause })
  }
}

function runsTypeScript(): boolean {
  return 'typescript' in process.features && process.features.typescript !== false
}

/** `file:line`; Node.js keeps it to itself when a module is imported, but not when it is asked to check it. */
function placeOfSyntaxError(file: string): string | null {
  const { stderr } = spawnSync(process.execPath, ['--check', file], {
    encoding: 'utf8',
    timeout: CHECK_DEADLINE,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  return /^(?:file:\/\/)?(\/.*:\d+)$/m.exec(stderr)?.[1] ?? null
}

/** What keeps an export from being an app; null if nothing. */
function problemOf(exported: unknown): string | null {
  if (typeof exported !== 'object' || exported === null) return 'it has no app as its default export'
  const app = exported as Partial<Record<keyof App, unknown>>
  const { name, ports, pools = 0, held = 0, counters = [], passes = [] } = app
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(name))
    return 'its app needs a name of lower-case letters, digits and -'
  if (!hasPorts(ports)) return `app ${name} needs ports: { min, max }, whole numbers from 1`
  if (typeof app.make !== 'function') return `app ${name} has no make()`
  for (const key of ['options', 'plan'] as const)
    if (app[key] !== undefined && typeof app[key] !== 'function') return `app ${name}: ${key} is no function`
  if (app.wasm !== undefined && (typeof app.wasm !== 'string' || app.wasm === ''))
    return `app ${name}: wasm is no name of a file`
  if (!isWhole(pools, 0) || !isWhole(held, 0)) return `app ${name}: pools and held are whole numbers`
  if (app.offloads !== undefined && app.offloads !== 'uses' && app.offloads !== 'understands')
    return `app ${name}: offloads is 'uses' or 'understands'`
  if (!Array.isArray(counters) || !counters.every((one) => typeof one === 'string' && one !== ''))
    return `app ${name}: counters is no list of names`
  if (new Set(counters).size !== counters.length) return `app ${name} names a counter twice`
  if (!Array.isArray(passes) || !passes.every((pair) => Array.isArray(pair) && pair.length === 2))
    return `app ${name}: passes is no list of pairs of ports`
  if ([0, 1].some((end) => new Set(passes.map((pair: unknown[]) => pair[end])).size !== passes.length))
    return `app ${name}: passes names a port twice`
  return null
}

function hasPorts(ports: unknown): boolean {
  if (typeof ports !== 'object' || ports === null) return false
  const { min, max } = ports as Partial<Record<'min' | 'max', unknown>>
  return isWhole(min, 1) && isWhole(max, min as number)
}

function isWhole(value: unknown, least: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least
}
