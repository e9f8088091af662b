/** Mistakes in an app of the user's own: told in one line, with file and line. */
import { isOurs } from '../bundles.ts'
import { IxyError, isIxyError } from '../errors.ts'
import { placeIn } from '../stack-place.ts'

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

/** The files of apps that were loaded. */
const files = new Set<string>()

/** From now on what this file throws at a moment when nobody has called it is known to be its mistake. */
export function rememberApp(file: string): void {
  files.add(file)
}

/** What nobody has caught, told as a mistake of an app if one has a part in it. */
export function strayMistake(error: unknown): unknown {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const file = [...files].find((one) => stack.includes(one))
  return file === undefined || isIxyError(error) ? error : mistake(error, file)
}

function told(error: unknown, file: string | null): unknown {
  return file === null || isIxyError(error) ? error : mistake(error, file)
}

/** What the app in `file` has thrown, as the user is told. `place`: where, if that is known better than by the stack. */
export function mistake(error: unknown, file: string, place: string | null = null): IxyError {
  const [message = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  const name = error instanceof Error ? `${error.name}: ` : ''
  const where = place ?? placeOf(error instanceof Error ? (error.stack ?? '') : '') ?? file
  return new IxyError('IXY_ERR_APP', `${where}: ${name}${message}`, '', { cause: error })
}

/** As placeIn(); the text of a syntax error begins with its place. */
function placeOf(stack: string): string | null {
  const syntax = /^(?:file:\/\/)?(\/.*:\d+)$/m.exec(stack.split('\n', 1)[0])
  return syntax === null ? placeIn(stack, isOurs) : syntax[1]
}
