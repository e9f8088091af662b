// Bundles the sources into dist/: one file for the command line, one for the data-plane worker threads; or, if files are
// named, each of them: `node build.mjs docs/examples/reflect.ts` makes dist/reflect.cjs. OUTDIR: another folder than dist.
// koffi stays outside: it loads a .node file that lies beside its own package.
import { build } from 'esbuild'
import { esbuildPlugin } from './assemblyscript.mjs'

const named = process.argv.slice(2)

await build({
  entryPoints:
    named.length > 0
      ? named
      : { cli: 'src/cli/main.ts', worker: 'src/apps/worker.ts', captures: 'src/captures/thread.ts' },
  outdir: process.env.OUTDIR ?? 'dist',
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
