/** Mistakes in an app of the user's own: told in one line, with file and line. */
import { fileURLToPath } from 'node:url'
import { isOurs } from '../bundles.ts'
import { IxyError, isIxyError } from '../errors.ts'

/** A place in a file, as a stack trace names it. */
const FRAME = /(?:^|[ (])((?:file:\/\/)?\/[^():]+):(\d+):(\d+)\)?$/

/**
 * Calls code of the app in `file` (null: one that ixy-ts brings along). What that throws is told with its place, unless it says
 * by itself what to do: an IxyError.
 */
export function asAppNow<T>(file: string | null, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw told(error, file)
  }
}

/** The same for what takes its time. */
export async function asApp<T>(file: string | null, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw told(error, file)
  }
}

function told(error: unknown, file: string | null): unknown {
  return file === null || isIxyError(error) ? error : mistake(error, file)
}

/** What the app in `file` has thrown, as the user is told. `place`: where, if that is known better than by the stack. */
export function mistake(error: unknown, file: string, place: string | null = null): IxyError {
  const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  const name = error instanceof Error ? `${error.name}: ` : ''
  const where = place ?? placeIn(error instanceof Error ? (error.stack ?? '') : '') ?? file
  return new IxyError('IXY_ERR_APP', `${where}: ${name}${message}`, '', { cause: error })
}

/** Of the frames of a stack, innermost first, the first that is neither of ixy-ts nor of Node.js: `file:line:column`. */
function placeIn(stack: string): string | null {
  const lines = stack.split('\n')
  // The text of a syntax error begins with its place.
  const syntax = /^(?:file:\/\/)?(\/.*:\d+)$/.exec(lines[0])
  if (syntax !== null) return syntax[1]
  for (const line of lines) {
    const frame = FRAME.exec(line.trim())
    if (frame === null || isOurs(pathOf(frame[1]))) continue
    return `${pathOf(frame[1])}:${frame[2]}:${frame[3]}`
  }
  return null
}

export function pathOf(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url
}
