/** The bundles of this package: what runs in threads and processes of its own. */
import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import { IxyError } from './errors.ts'

export type Bundle =
  'captures.cjs' | 'index.cjs' | 'index.mjs' | 'live.html' | 'vnic-child.cjs' | 'watchdog.cjs' | 'worker.cjs'

/** dist/, seen from a bundle in it; from the sources, in tests, as well. */
const FOLDERS = [__dirname, path.join(__dirname, '..', 'dist')]

/** Path of a bundle that this build may lack. */
export function bundleOrNull(name: Bundle): string | null {
  return FOLDERS.map((folder) => path.join(folder, name)).find(isReadable) ?? null
}

/** Path of a bundle. Throws IXY_ERR_PERMISSION where root has become somebody else, who may not enter the folder. */
export function bundle(name: Bundle): string {
  const found = bundleOrNull(name)
  if (found !== null) return found
  throw new IxyError('IXY_ERR_SYSTEM', `${path.join(__dirname, name)} is missing`, 'run make build')
}

/** Path of bin/ixy-ts, which runs with Node.js or as it is. */
export function launcher(): string {
  return path.join(path.dirname(bundle('worker.cjs')), '..', 'bin', 'ixy-ts')
}

/** The command that reserves huge pages, for root. */
export function setUpHugepages(): string {
  const scripts = FOLDERS.map((folder) => path.join(folder, '..', 'setup-hugetlbfs.sh'))
  return `sudo ${scripts.find((script) => existsSync(script)) ?? './setup-hugetlbfs.sh'}`
}

/** Whether this file, or what runs from it, is one of ixy-ts. */
export function isOurs(file: string): boolean {
  return FOLDERS.some((folder) => path.dirname(file) === folder)
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') return false
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `this user may not read ${file}`,
      'install ixy-ts where they may, as in /opt',
    )
  }
}
