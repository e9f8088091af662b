/** The lint rule that what is handed to specialise() is closed over nothing: it is compiled anew from its text alone. */
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const ROOT = path.join(__dirname, '../..')

const TEXT = `import { specialise } from './specialise.ts'
import type { PacketMemory } from './memory/packets.ts'
const MASK = 63
function helper(n: number): number {
  return n & 1
}
function closed(memory: PacketMemory, mask: number): () => number {
  const seen = new Uint32Array(4)
  function step(): number {
    seen[0] += Math.min(mask, memory.size[0])
    return Atomics.load(seen, 0)
  }
  return step
}
function open(words: Uint32Array): () => number {
  return () => helper(words[0] & MASK)
}
export const made = [specialise(closed), specialise(open), specialise((n: number) => n)]
`

/** That part of eslint.config.mjs which has the rule: without the others, which need to know all types, it takes a fourth. */
const LINT = `import { readFileSync } from 'node:fs'
import { Linter } from 'eslint'
import tseslint from 'typescript-eslint'
import config from './eslint.config.mjs'
const own = config.filter(({ plugins }) => plugins?.['ixy-ts'] !== undefined)
const messages = new Linter().verify(readFileSync(0, 'utf8'), [tseslint.configs.base, ...own], 'src/version.ts')
console.log(JSON.stringify(messages))
`

test('names from outside are found; types, globals and its own are not', () => {
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', LINT], {
    cwd: ROOT,
    input: TEXT,
    encoding: 'utf8',
  })
  const messages = JSON.parse(stdout) as { ruleId: string; line: number; message: string }[]
  const found = messages.filter(({ ruleId }) => ruleId === 'ixy-ts/specialised-is-closed')
  expect(found.map(({ line, message }) => [line, message.replace(/ when .*/, '')])).toEqual([
    [16, "'helper' isn't there"],
    [16, "'MASK' isn't there"],
    [18, expect.stringContaining('declared in the same file')],
  ])
})
