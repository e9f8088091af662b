/** Small files and links of sysfs. Nothing here throws for what isn't there: devices come and go. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/** The text of a file without the white space around it; null if it can't be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}

/** The number in a file, decimal or 0x…; null if there is none. */
export function readNumber(path: string): number | null {
  const text = readText(path)
  if (text === null || text === '') return null
  const number = Number(text)
  return Number.isNaN(number) ? null : number
}

/** The last part of where a link leads: `…/driver` → `ixgbe`. Null if there is no link. */
export function readLinkName(path: string): string | null {
  try {
    return basename(readlinkSync(path))
  } catch {
    return null
  }
}

/** Names in a directory, sorted; none if it isn't there. */
export function listNames(path: string): string[] {
  try {
    return readdirSync(path).sort()
  } catch {
    return []
  }
}
