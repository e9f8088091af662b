// Makes dist/types from the sources: the declarations of what the library exports, and of nothing else.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const outdir = path.resolve(import.meta.dirname, 'dist/types')
rmSync(outdir, { recursive: true, force: true })
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const project = path.join(import.meta.dirname, 'tsconfig.types.json')
const { status } = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', outdir], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(1)

// The compiler writes one for every source file that is read; those that no other names are of no use to anybody.
const wanted = new Set()
const queue = [path.join(outdir, 'index.d.ts')]
for (const file of queue) {
  if (wanted.has(file)) continue
  wanted.add(file)
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?'(\.[^']*)\.ts'/g))
    queue.push(path.resolve(path.dirname(file), `${name}.d.ts`))
}
for (const name of readdirSync(outdir, { recursive: true })) {
  const file = path.join(outdir, name)
  if (file.endsWith('.ts') && !wanted.has(file)) rmSync(file)
}
