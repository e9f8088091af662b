/** The directory for sockets and locks of running programs. */
import { lstatSync, mkdirSync } from 'node:fs'
import { IxyError } from '../errors.ts'

/**
 * $IXY_TS_RUNTIME_DIR if set, else /run/ixy-ts for root, else $XDG_RUNTIME_DIR/ixy-ts, else /tmp/ixy-ts-<uid>; created
 * if need be, for its owner only.
 * Throws IXY_ERR_SYSTEM if it can't be created, IXY_ERR_PERMISSION if it is somebody else's.
 */
export function runtimeDirectory(
  uid: number = process.getuid?.() ?? 0,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const path = runtimePath(uid, environment)
  try {
    mkdirSync(path, { mode: 0o700, recursive: true })
  } catch (cause) {
    throw new IxyError(
      'IXY_ERR_SYSTEM',
      `the directory ${path} can't be created: ${cause instanceof Error ? cause.message : String(cause)}`,
      'create it or set XDG_RUNTIME_DIR to a directory of yours',
      { cause },
    )
  }
  // In /tmp anyone could have put it there, or a link that leads elsewhere.
  const state = lstatSync(path)
  if (!state.isDirectory() || state.uid !== uid || (state.mode & 0o022) !== 0)
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `${path} is not a directory that only user ${uid} can write to`,
      'remove it',
    )
  return path
}

function runtimePath(uid: number, environment: NodeJS.ProcessEnv): string {
  const chosen = environment['IXY_TS_RUNTIME_DIR']
  if (chosen !== undefined && chosen.startsWith('/')) return chosen
  if (uid === 0) return '/run/ixy-ts'
  const base = environment['XDG_RUNTIME_DIR']
  return base !== undefined && base.startsWith('/') ? `${base}/ixy-ts` : `/tmp/ixy-ts-${uid}`
}
