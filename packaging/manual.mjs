// Makes dist/man: the manual pages, which the tool that has been built writes itself.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import path from 'node:path'

const root = path.join(import.meta.dirname, '..')
const folder = path.join(root, 'dist/man')
rmSync(folder, { recursive: true, force: true })
const { status } = spawnSync(process.execPath, [path.join(root, 'bin/ixy-ts'), 'manual', folder], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(1)
