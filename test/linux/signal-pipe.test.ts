import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

// A process of its own: jest's event loop and signals are jest's.
const root = path.join(__dirname, '..', '..')
const directory = path.join(root, `node_modules/.cache/ixy-ts-signals-${process.pid}`)
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('sees which signals have come and not been taken, without taking them', () => {
  const source = path.join(directory, 'signals.ts')
  mkdirSync(directory, { recursive: true })
  writeFileSync(
    source,
    `import { constants } from 'node:os'
     import { signalPipe } from '${path.join(root, 'src/linux/signal-pipe.ts')}'
     const taken: string[] = []
     for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => taken.push(name))
     const pipe = signalPipe()
     const names = () => pipe?.pending().map((n) => Object.entries(constants.signals).find(([, m]) => m === n)?.[0])
     const seen = [names()]
     process.kill(process.pid, 'SIGTERM')
     process.kill(process.pid, 'SIGHUP')
     process.kill(process.pid, 'SIGTERM')
     seen.push(names(), names())
     setTimeout(() => {
       seen.push(names())
       console.log(JSON.stringify({ seen, taken }))
     }, 50)`,
  )
  execFileSync(process.execPath, ['build.mjs', source], {
    cwd: root,
    env: { ...process.env, OUTDIR: directory },
  })
  const { stdout, stderr } = spawnSync(process.execPath, [path.join(directory, 'signals.cjs')], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect(stderr).toBe('')
  const three = ['SIGUSR2', 'SIGTERM', 'SIGHUP', 'SIGTERM']
  expect(JSON.parse(stdout)).toEqual({
    seen: [['SIGUSR2'], three, three, []],
    taken: ['SIGTERM', 'SIGHUP', 'SIGTERM'],
  })
})
