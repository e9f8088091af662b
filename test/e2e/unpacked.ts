/** The package as `npm pack` makes it, unpacked where an ordinary user can read it. */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { sh } from './support.ts'

export const ROOT = path.join(__dirname, '../..')

/** For tests that run as root: nobody, who can't enter a checkout below /root. */
export const ORDINARY_USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

export const PACKING = ['npm', 'tar', 'gzip']

/** Why the ordinary user can't run Node.js here, or null. */
export function nodeObstacle(): string | null {
  const { status } = spawnSync(process.execPath, ['--version'], { ...ORDINARY_USER, cwd: '/' })
  return status === 0 ? null : `user nobody can't run ${process.execPath}`
}

/** Returns the folder of the package, below `directory`, which everybody may read from then on. */
export function unpackPackage(directory: string): string {
  // Without scripts: dist/ is there already.
  const options = ['--ignore-scripts', '--silent', '--pack-destination', directory]
  const name = sh('npm', 'pack', ROOT, ...options).trim()
  sh('tar', '-xzf', path.join(directory, name), '-C', directory)
  return withDependencies(directory)
}

/** The same without npm: what is to be read by everybody, and no judge of what is packed. */
export function copyPackage(directory: string): string {
  // With their times to the nanosecond, by which dist/ knows its code caches: cpSync() rounds them.
  const unpacked = path.join(directory, 'package')
  mkdirSync(unpacked)
  sh('cp', '-a', ...['bin', 'dist', 'package.json'].map((part) => path.join(ROOT, part)), unpacked)
  return withDependencies(directory)
}

function withDependencies(directory: string): string {
  const unpacked = path.join(directory, 'package')
  for (const dependency of ['koffi', '@koromix']) {
    const folder = path.join('node_modules', dependency)
    cpSync(path.join(ROOT, folder), path.join(unpacked, folder), { recursive: true })
  }
  chmodSync(directory, 0o755)
  return unpacked
}
