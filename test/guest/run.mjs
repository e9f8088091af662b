// Bundles the harness (it is TypeScript) and runs it: node test/guest/run.mjs [scenario…]; with --fetch, only
// QEMU and what else they need is brought here, which test/qtest uses, too; with --vm, `make vm`.
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const outdir = join(root, '.cache', 'guest')
mkdirSync(outdir, { recursive: true })
await build({
  entryPoints: {
    harness: join(here, 'main.ts'),
    'far-end': join(here, 'far-end.ts'),
    vm: join(here, 'vm.ts'),
  },
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['koffi'],
  sourcemap: 'inline',
  logLevel: 'warning',
})
process.chdir(root)
process.setSourceMapsEnabled(true)
const program = process.argv[2] === '--vm' ? 'vm.cjs' : 'harness.cjs'
await import(pathToFileURL(join(outdir, program)).href)
