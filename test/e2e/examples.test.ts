/** What docs/ tells readers to build and run. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { sh } from './support.ts'

const root = path.join(__dirname, '../..')

describe('docs/examples/reflect.ts', () => {
  const bundle = path.join(root, 'dist/reflect.cjs')
  const reflect = (...args: string[]) =>
    spawnSync(process.execPath, [bundle, ...args], { encoding: 'utf8', timeout: 60_000 })

  beforeAll(() => {
    sh(process.execPath, path.join(root, 'build.mjs'), 'docs/examples/reflect.ts')
    // Compiles WebAssembly as well.
  }, 60_000)
  afterAll(() => {
    for (const file of [bundle, `${bundle}.map`]) rmSync(file, { force: true })
  })

  test('sends back what comes in, and says how much', () => {
    const { status, stdout, stderr } = reflect('virtual:gen', '1')
    expect(stderr).toBe('')
    const [, received, sent] = /^(\d+) packets came in, (\d+) went back out\n$/.exec(stdout) ?? []
    expect(Number(sent)).toBeGreaterThan(1000)
    // The last ones may still be in the ring when the time is up.
    expect(Number(received) - Number(sent)).toBeLessThan(512)
    expect(status).toBe(0)
  })

  test('fails where nothing comes in', () => {
    const { status, stdout } = reflect('virtual:sink', '0.2')
    expect(stdout).toBe('0 packets came in, 0 went back out\n')
    expect(status).toBe(1)
  })
})
