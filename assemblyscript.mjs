// `import code from './x.wasm'` means: x.ts beside it, compiled by AssemblyScript, as bytes. For esbuild and for jest.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(fileURLToPath(import.meta.url))
const compiler = join(
  dirname(createRequire(import.meta.url).resolve('assemblyscript/package.json')),
  'bin',
  'asc.js',
)

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

/** Compiles one source file; returns the module's bytes. */
function compile(source) {
  const directory = mkdtempSync(join(tmpdir(), 'ixy-ts-wasm-'))
  try {
    const output = join(directory, 'out.wasm')
    execFileSync(process.execPath, [compiler, source, ...OPTIONS, '--baseDir', root, '--outFile', output], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    return readFileSync(output)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

export const esbuildPlugin = {
  name: 'assemblyscript',
  setup(build) {
    build.onResolve({ filter: /\.wasm$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.replace(/wasm$/, 'ts')),
      namespace: 'assemblyscript',
    }))
    build.onLoad({ filter: /.*/, namespace: 'assemblyscript' }, ({ path }) => ({
      contents: compile(path),
      loader: 'binary',
    }))
  },
}

/** What the sources import besides their neighbours: the compiled bytes depend on it. */
const IMPORTED = [
  'src/driver/intel/counters.ts',
  'src/driver/intel/descriptors.ts',
  'src/driver/virtio/counters.ts',
  'src/driver/virtio/queue-words.ts',
  'src/memory/wasm-layout.ts',
  'src/vnic/model/tx-descriptor.ts',
  'src/vnic/wires/test-frame-layout.ts',
  'assemblyscript.mjs',
]

/** The transformer for jest. */
export default {
  getCacheKey(_text, path) {
    const hash = createHash('sha256').update(path)
    const neighbours = readdirSync(dirname(path)).map((name) => join(dirname(path), name))
    for (const file of [...neighbours, ...IMPORTED]) hash.update(readFileSync(resolve(root, file)))
    return hash.digest('hex')
  },
  process(_text, path) {
    const bytes = compile(path).toString('base64')
    return {
      code: `exports.__esModule = true; exports.default = new Uint8Array(Buffer.from('${bytes}', 'base64'))`,
    }
  },
}
