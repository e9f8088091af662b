/** The program that a command starts to play its virtual devices: itself. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { IxyError, asIxyError } from '../errors.ts'

/** bin/ixy-ts, seen from the bundle in dist/ as well as from the sources. */
export function findLauncher(): string {
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    const launcher = path.join(folder, 'bin', 'ixy-ts')
    if (existsSync(launcher)) return launcher
    if (folder === path.dirname(folder)) {
      throw new IxyError(
        'IXY_ERR_SYSTEM',
        `bin/ixy-ts is not above ${__dirname}`,
        'keep bin/ and dist/ together',
      )
    }
  }
}

export function cantStart(launcher: string, cause: unknown): IxyError {
  const error = asIxyError(cause)
  const code = error.code === 'IXY_ERR_SYSTEM' ? error.code : 'IXY_ERR_WORKER'
  return new IxyError(code, `can't start ${launcher}: ${error.message}`, '', { cause })
}
