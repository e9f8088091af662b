// Bundles the sources into dist/: one file for the command line, one for the data-plane worker threads; or, if files are
// named, each of them: `node build.mjs test/e2e/slow-nic.ts` makes dist/slow-nic.cjs. OUTDIR: another folder than dist.
// koffi stays outside: it loads a .node file that lies beside its own package.
import { createRequire } from 'node:module'
import { createHash } from 'node:crypto'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { build, transform } from 'esbuild'
import { esbuildPlugin } from './assemblyscript.mjs'

const named = process.argv.slice(2)

const outdir = process.env.OUTDIR ?? 'dist'

/** What takes milliseconds to load, in each thread, and is of no use to most of them: loaded when it is first asked for something. */
const LATE = /^(node:(child_process|crypto|http|net|tty|zlib)|chalk|pino|pino-pretty|yaml)$/
const lateModules = {
  name: 'late',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: LATE }, ({ path, namespace }) => {
      if (namespace !== 'late') return { path, namespace: 'late' }
      return path.startsWith('node:') ? { path, external: true } : undefined
    })
    // esbuild keeps the prototype of what it makes a namespace of, and asks at once whether it is an ES module.
    onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({
      contents: `module.exports = Object.create(
        new Proxy({}, { get: (_, name) => name === '__esModule' ? undefined : require('${path}')[name] }))`,
      loader: 'js',
      resolveDir: process.cwd(),
    }))
  },
}

/**
 * koffi's own entry finds out which of its binaries this system needs, in JavaScript that V8 compiles anew in each thread: that takes
 * five times as long as to load the binary. It is asked where that isn't where it should be.
 */
const koffiBinary = {
  name: 'koffi',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^koffi$/ }, ({ path, namespace }) =>
      namespace === 'koffi' ? { path, external: true } : { path, namespace: 'koffi' },
    )
    onLoad({ filter: /.*/, namespace: 'koffi' }, () => ({
      contents: `
        const { arch } = process
        let binary
        try {
          if (!require('node:fs').existsSync('/lib/ld-musl-' + (arch === 'x64' ? 'x86_64' : 'aarch64') + '.so.1'))
            binary = require('@koromix/koffi-linux-' + arch + '/linux_' + arch + '/koffi.node')
        } catch {}
        module.exports = binary ?? require('koffi')`,
      loader: 'js',
    }))
  },
}

const { metafile } = await build({
  entryPoints:
    named.length > 0
      ? named
      : {
          cli: 'src/cli/main.ts',
          index: 'src/index.ts',
          worker: 'src/apps/worker.ts',
          'vnic-child': 'src/vnic/child-main.ts',
          captures: 'src/captures/thread.ts',
          load: 'src/load.ts',
          watchdog: 'src/engine/watchdog-thread.ts',
        },
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  plugins: [esbuildPlugin, lateModules, koffiBinary],
  sourcemap: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
})

/** Pages of one file: script and style stand in it, and their hashes in its policy; nothing else is run or loaded. */
async function pages() {
  const inputs = []
  for (const [name, connect] of [
    ['report', "'none'"],
    ['live', "'self'"],
  ]) {
    const built = await build({
      entryPoints: { script: `src/page/${name}.ts`, style: 'src/page/style.css' },
      outdir,
      bundle: true,
      format: 'iife',
      target: 'es2022',
      minify: true,
      write: false,
      legalComments: 'none',
      metafile: true,
      logLevel: 'warning',
    })
    inputs.push(...Object.keys(built.metafile.inputs))
    const [script, style] = ['.js', '.css'].map(
      (end) => built.outputFiles.find(({ path }) => path.endsWith(end)).text,
    )
    const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
    const policy = [
      "default-src 'none'",
      `script-src ${hash(script)}`,
      `style-src ${hash(style)}`,
      `connect-src ${connect}`,
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
    ].join('; ')
    const put = { policy, style: `<style>${style}</style>`, script: `<script>${script}</script>` }
    const page = readFileSync(`src/page/${name}.html`, 'utf8').split(/<!--(policy|style|script)-->/)
    writeFileSync(`${outdir}/${name}.html`, page.map((part, i) => (i % 2 === 0 ? part : put[part])).join(''))
  }
  return inputs
}

/** The licences of the packages that became part of the bundles. */
function licences(inputs) {
  const folders = inputs.map((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0])
  return [...new Set(folders)]
    .filter((folder) => folder !== undefined)
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
      return `${name} ${version}, ${license}\n\n${file === undefined ? '' : readFileSync(`${folder}/${file}`, 'utf8')}`
    })
    .join('\n\n')
}

/** The library for `import`: the same as for require(), with every name spelled out, so that a wrong one is told as such. */
function asModule() {
  const names = Object.keys(createRequire(import.meta.url)(path.resolve(outdir, 'index.cjs')))
  return `export { ${names.sort().join(', ')} } from './index.cjs'\n`
}

/** What V8 makes of the bundles while they run, see src/load.ts. They start without it, too. */
function codeCaches() {
  for (const file of readdirSync(outdir)) if (file.endsWith('.cache')) rmSync(`${outdir}/${file}`)
  const run = ['virtual:gen,rate=100kpps', 'virtual:record=/dev/null', '-d', '0.3']
  const { status, stderr } = spawnSync(process.execPath, ['bin/ixy-ts', 'forward', ...run], {
    env: { ...process.env, IXY_TS_CODE_CACHE: 'write', IXY_TS_REHEARSAL: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: 30_000,
  })
  if (status !== 0) console.warn(`built without code caches: ${stderr.trim().split('\n').at(-1)}`)
}

/** src/load.ts reads the bundles as ASCII. esbuild writes them so, but for comments, tagged templates and regular expressions. */
async function onlyAscii() {
  for (const file of Object.keys(metafile.outputs).filter((name) => name.endsWith('.cjs'))) {
    const { code } = await transform(readFileSync(file, 'utf8'), { minifyWhitespace: true })
    const found = /.{0,40}[^\0-\x7f]/.exec(code)?.[0]
    if (found !== undefined)
      throw new Error(`${file}: not ASCII, escape it: ${JSON.stringify(found.slice(-40))}`)
  }
}

if (named.length === 0) {
  const inputs = [...Object.keys(metafile.inputs), ...(await pages())]
  await onlyAscii()
  writeFileSync(`${outdir}/LICENSES.txt`, licences(inputs))
  writeFileSync(`${outdir}/index.mjs`, asModule())
  if (outdir === 'dist') codeCaches()
}
