import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from '../pci/vfio-user/bundle.ts'

// Ended while it loads, its thread would abort the process; seen at the end of runs of some 50 ms.
test('one that is closed at once has loaded by then', () => {
  const program = bundle('closed-at-once.ts', __dirname)
  copyFileSync('dist/watchdog.cjs', join(dirname(program), 'watchdog.cjs'))
  const { stdout, status } = spawnSync(process.execPath, [program], { encoding: 'utf8' })
  rmSync(dirname(program), { recursive: true })
  expect([stdout, status]).toEqual(['0 1\n', 0])
})
