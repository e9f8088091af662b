/**
 * Loads a bundle of dist/ with what V8 has made of it before: for the launcher, and as the entry of threads and child processes of
 * this program, each of which would begin with parsing half a megabyte. V8 calls that a code cache; build.mjs runs the
 * program once to get it.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire, wrap } from 'node:module'
import path from 'node:path'
import type v8 from 'node:v8'
import { Script } from 'node:vm'
import { isMainThread, workerData } from 'node:worker_threads'

/** Set by build.mjs: each bundle leaves its code cache when its thread ends. */
const writes = process.env['IXY_TS_CODE_CACHE'] === 'write'

/** As require(file), and just that where there is no code cache. */
export function load(file: string): unknown {
  const cache = cacheOf(file)
  const cachedData = read(cache)
  if (cachedData === undefined && !writes) return createRequire(file)(file)
  // Two megabytes, which as UTF-8 would take five times as long; what isn't ASCII is in comments only, see build.mjs.
  const script = new Script(wrap(readFileSync(file, 'latin1')), { filename: file, cachedData })
  const save = (): void => writeFileSync(cache, script.createCachedData())
  if (writes) {
    // A code cache holds for the flags it was made with, V8's own: src/inlining.ts changes them later.
    ;(createRequire(file)('node:v8') as typeof v8).setFlagsFromString = () => undefined
    process.on('exit', save)
  }
  const module = { exports: {} }
  const run = script.runInThisContext() as (...args: unknown[]) => void
  run(module.exports, createRequire(file), module, file, path.dirname(file))
  // And one that is terminated has no end.
  if (writes) save()
  return module.exports
}

/** import() for bundles: code out of a code cache has none in Node.js 20. */
export function importFile(url: string): Promise<{ readonly default?: unknown }> {
  return import(url) as ReturnType<typeof importFile>
}

/**
 * Where the code cache of a bundle is. V8 compares its own version and flags, but of the source only the length: so the
 * name tells which bundle it was made of.
 */
function cacheOf(file: string): string {
  const { size, mtimeMs } = statSync(file)
  const { version, arch } = process
  return `${file.replace(/\.cjs$/, '')}.${version}-${arch}.${size}-${Math.trunc(mtimeMs)}.cache`
}

function read(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

if (require.main === module) {
  // To the bundle it looks as if Node.js had been started with it.
  if (isMainThread) process.argv.splice(1, 1)
  load(isMainThread ? process.argv[1] : (workerData as { readonly bundle: string }).bundle)
}
