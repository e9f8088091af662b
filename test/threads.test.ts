import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from './pci/vfio-user/bundle.ts'

// One that is ended while it loads native code aborts the process; seen at the end of runs of some 50 ms, of captures of as many,
// and of a `vnic` whose socket was taken.
test.each(['terminate', 'exit'])('threads that are ended at once have loaded by then: %s', (how) => {
  const program = bundle('ended-at-once.ts', __dirname)
  for (const name of ['captures.cjs', 'load.cjs', 'watchdog.cjs', 'worker.cjs'])
    copyFileSync(join('dist', name), join(dirname(program), name))
  const { stdout, status, stderr } = spawnSync(process.execPath, [program, how], { encoding: 'utf8' })
  rmSync(dirname(program), { recursive: true })
  expect([stdout, stderr, status]).toEqual(['0 3\n', '', 0])
})
