// Compiles the C half, bundles the TypeScript half, runs it:
// node bench/run.mjs [--quick] [--picture: draw docs/latency.svg] [--only=<part>: driver, step, virtio, filters, tunnel, program, contention, scale,
// sustained; latency: for longer, see longLatency() in main.ts; with root: tunnel-peers, host-interface, peers, capture; or of
// one of these a part: peers-send, sustained-line]
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { esbuildPlugin } from '../assemblyscript.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const out = join(here, '..', '.cache', 'bench')
mkdirSync(out, { recursive: true })

const compiler = process.env.CC ?? 'cc'
const flags = ['-O3', '-march=native', '-Wall', '-Wextra', '-shared', '-fPIC']
const sources = readdirSync(join(here, 'c')).filter((name) => name.endsWith('.c'))
execFileSync(
  compiler,
  [...flags, '-o', join(out, 'native.so'), ...sources.map((name) => join(here, 'c', name))],
  {
    stdio: 'inherit',
  },
)
const version = execFileSync(compiler, ['--version'], { encoding: 'utf8' }).split('\n')[0]

await build({
  entryPoints: [
    'main',
    'contest',
    'step-contest',
    'steady',
    'latency/nics',
    'latency/c',
    'latency/c-worker',
    'scale/contest',
    'filter-contest',
    'tunnel-contest',
  ].map((name) => join(here, `${name}.ts`)),
  outdir: out,
  outbase: here,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['koffi'],
  plugins: [esbuildPlugin],
  // Of an app in docs/examples.
  alias: { 'ixy-ts': join(here, '..', 'src', 'index.ts') },
  logLevel: 'warning',
})

// As bin/ixy-ts has it.
const INLINING = '--max-inlined-bytecode-size-cumulative=5000'

const main = spawn(process.execPath, [INLINING, join(out, 'main.cjs'), ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: {
    ...process.env,
    BENCH_BUILD: out,
    BENCH_RESULTS: join(here, 'results'),
    BENCH_TOOL: join(here, '..', 'bin', 'ixy-ts'),
    BENCH_PICTURE: join(here, '..', 'docs', 'latency.svg'),
    BENCH_DOCS: join(here, '..', 'docs'),
    BENCH_PAIRS: join(here, 'pairs-app.mjs'),
    BENCH_COMPILER: `${version}, ${flags.slice(0, 2).join(' ')}`,
  },
})
// It has things to remove. A signal from the terminal it gets by itself.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => main.kill(signal))
process.on('SIGINT', () => undefined)
main.on('exit', (status) => {
  process.exitCode = status ?? 1
})
