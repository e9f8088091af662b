// `import code from './x.wasm'` means: x.ts beside it, compiled by AssemblyScript, as bytes. For esbuild and for jest.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const self = fileURLToPath(import.meta.url)
const root = dirname(self)
const manifest = createRequire(self).resolve('assemblyscript/package.json')

const OPTIONS = [
  '-O3',
  '--noAssert',
  '--runtime',
  'stub',
  '--importMemory',
  '--enable',
  'threads',
  '--enable',
  'simd',
]

/** Adds the source file and all that it imports to `files`. */
function gather(file, files = new Set()) {
  if (files.has(file)) return files
  files.add(file)
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/\bfrom '(\.[^']+)'/g))
    gather(resolve(dirname(file), `${name}.ts`), files)
  return files
}

/** Of all that the compiled bytes depend on. */
function hashOf(source) {
  const hash = createHash('sha256').update(source)
  for (const file of [...gather(source), manifest, self]) hash.update(readFileSync(file))
  return hash.digest('hex')
}

/** Where the compiled bytes of a source are kept. */
const fileOf = (source) => join(root, '.cache/wasm', `${hashOf(source)}.wasm`)

/** One after the other. */
let busy = Promise.resolve()

/** Resolves with the module's bytes. */
async function compile(source) {
  const output = fileOf(source)
  const before = busy
  busy = before.then(() => (existsSync(output) ? undefined : compileTo(output, source)))
  await busy
  return readFileSync(output)
}

async function compileTo(output, source) {
  const { default: asc } = await import('assemblyscript/asc')
  const unfinished = `${output}.${process.pid}`
  const files = [relative(root, source), '--baseDir', root, '--outFile', relative(root, unfinished)]
  mkdirSync(dirname(output), { recursive: true })
  const { error } = await asc.main([...files, ...OPTIONS], { stdout: process.stdout, stderr: process.stderr })
  if (error !== null) throw error
  renameSync(unfinished, output)
}

export const esbuildPlugin = {
  name: 'assemblyscript',
  setup(build) {
    build.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.replace(/wasm$/, 'ts')),
      namespace: 'assemblyscript',
    }))
    build.onLoad({ filter: /.*/, namespace: 'assemblyscript' }, async ({ path }) => ({
      contents: await compile(path),
      loader: 'binary',
    }))
  },
}

/** The transformer for jest, which doesn't wait: another process compiles what has not been. */
export default {
  getCacheKey(_text, path) {
    return hashOf(path)
  },
  process(_text, path) {
    const output = fileOf(path)
    if (!existsSync(output))
      execFileSync(process.execPath, [self, path], { stdio: ['ignore', 'inherit', 'inherit'] })
    const bytes = readFileSync(output).toString('base64')
    return {
      code: `exports.__esModule = true; exports.default = new Uint8Array(Buffer.from('${bytes}', 'base64'))`,
    }
  },
}

if (process.argv[1] === self) await compile(resolve(process.argv[2]))
