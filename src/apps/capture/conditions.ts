/** `-a` and `-b`, as dumpcap reads them: when to stop, and when to begin the next file. */
import { type FileLimits, ONE_FILE } from '../../captures/file-limits.ts'
import { usageError } from '../../errors.ts'
import { byteSize, count, seconds } from '../../quantity.ts'
import { MOST } from './quota.ts'

const MOST_SECONDS = 2_147_483
const MOST_FILES = 1_000_000
const MOST_BYTES = 2 ** 50

/** What one of the two options has been given, as often as it was. */
export interface Conditions {
  readonly duration?: number
  readonly filesize?: number
  readonly files?: number
  readonly packets?: number
}

const READERS: Readonly<Record<keyof Conditions, (what: string, text: string) => number>> = {
  duration: (what, text) => seconds(what, text, 0.001, MOST_SECONDS),
  // Kilobytes where no unit is given.
  filesize: (what, text) => byteSize(what, /^\d+$/.test(text) ? `${text}kB` : text, 1000, MOST_BYTES),
  files: (what, text) => count(what, text, 1, MOST_FILES),
  packets: (what, text) => count(what, text, 1, MOST),
}

/** How each begins. */
export const CONDITIONS: readonly string[] = Object.keys(READERS).map((name) => `${name}:`)

/** One more of them, `filesize:1000`, to those `before`. Throws IXY_ERR_USAGE. */
export function addCondition(option: string, text: string, before: Conditions = {}): Conditions {
  const colon = text.indexOf(':')
  const name = text.slice(0, Math.max(0, colon))
  if (!isCondition(name))
    throw usageError(
      `${option} ${text} is not valid`,
      'give duration:<time>, filesize:<kB>, files:<n> or packets:<n>',
    )
  return { ...before, [name]: READERS[name](`${option} ${name}:`, text.slice(colon + 1)) }
}

function isCondition(name: string): name is keyof Conditions {
  return Object.hasOwn(READERS, name)
}

/** Where files end, from -a and -b. Throws IXY_ERR_USAGE for what doesn't go together. */
export function limitsOf(stop: Conditions, next: Conditions): FileLimits {
  const several = next.duration !== undefined || next.filesize !== undefined || next.packets !== undefined
  if (next.files !== undefined && !several)
    throw usageError(
      '-b files: needs to know when the next file begins',
      'add -b filesize:, duration: or packets:',
    )
  if (stop.files !== undefined && !several)
    throw usageError(
      '-a files: needs several files',
      'say when the next one begins: -b filesize:, duration: or packets:',
    )
  if (stop.filesize !== undefined && several)
    throw usageError('-a filesize: is for a single file', 'with -b give -a files:, packets: or duration:')
  if (stop.filesize !== undefined) return { ...ONE_FILE, fileBytes: stop.filesize, lastFile: 1 }
  if (!several) return ONE_FILE
  return {
    fileBytes: next.filesize ?? null,
    filePackets: next.packets ?? null,
    fileSeconds: next.duration ?? null,
    files: next.files ?? Infinity,
    lastFile: stop.files ?? Infinity,
    single: false,
  }
}
