// Bundles the sources into dist/: one file for the command line, one for the data-plane worker threads.
// koffi stays outside: it loads a .node file that lies beside its own package.
import { existsSync } from 'node:fs'
import { build } from 'esbuild'

const entryPoints = Object.fromEntries(
  Object.entries({ cli: 'src/cli/main.ts', worker: 'src/apps/worker.ts' }).filter(([, file]) =>
    existsSync(file),
  ),
)

await build({
  entryPoints,
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['koffi'],
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
})
