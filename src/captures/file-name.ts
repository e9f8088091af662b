/**
 * Names of capture files as they are written on the command line.
 *
 * A comma ends a part of a wire, and an argument arrives as UTF-8, so three things can be written with a backslash: `\,`
 * is a comma, `\x9f` the byte with that value, and `\\` a backslash (needed only before one of these). Any other
 * backslash stands for itself.
 */

const ESCAPE = /\\(,|\\|x[0-9a-f]{2})/gi

/** Where a part of a wire ends: the next comma from `start` on that isn't escaped, or the end of `text`. */
export function endOfPart(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    if (text[i] === ',') return i
    if (text[i] === '\\' && (text[i + 1] === ',' || text[i + 1] === '\\')) i++
  }
  return text.length
}

/** Text in which `\,` stands for a comma and `\\` for a backslash; any other backslash is one. */
export function unescaped(text: string): string {
  return text.replace(/\\([,\\])/g, '$1')
}

/**
 * The name for node:fs. Bytes if it isn't UTF-8. `/dev/fd/<n>`, as a shell writes for `<(…)`, is a descriptor of process
 * `owner`: the one whose command line it stood on.
 */
export function toPath(name: string, owner: number | 'self' = 'self'): string | Buffer {
  const bytes: Buffer[] = []
  let last = 0
  for (const match of name.matchAll(ESCAPE)) {
    bytes.push(Buffer.from(name.slice(last, match.index)))
    const [, escaped] = match
    bytes.push(escaped.length === 3 ? Buffer.from(escaped.slice(1), 'hex') : Buffer.from(escaped))
    last = match.index + match[0].length
  }
  const all = Buffer.concat([...bytes, Buffer.from(name.slice(last))])
  const text = all.toString()
  if (!Buffer.from(text).equals(all)) return all
  return text.replace(/^\/(?:dev|proc\/self)\/fd\/(\d+)$/, `/proc/${owner}/fd/$1`)
}

/** `-` and the other names of a process's own stdin (0) or stdout (1). */
export function isStandardStream(name: string, fd: 0 | 1): boolean {
  const alias = fd === 0 ? '/dev/stdin' : '/dev/stdout'
  return ['-', alias, `/dev/fd/${fd}`, `/proc/self/fd/${fd}`].includes(name)
}

/** How a capture that is written is called in messages. */
export function shownName(name: string): string {
  return isStandardStream(name, 1) ? 'stdout' : name
}
