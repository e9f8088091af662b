// Bundles the sources into dist/: one file for the command line, one for the data-plane worker threads.
// koffi stays outside: it loads a .node file that lies beside its own package.
import { build } from 'esbuild'
import { esbuildPlugin } from './assemblyscript.mjs'

await build({
  entryPoints: { cli: 'src/cli/main.ts', worker: 'src/apps/worker.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['koffi'],
  plugins: [esbuildPlugin],
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
})
