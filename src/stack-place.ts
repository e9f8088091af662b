import { fileURLToPath } from 'node:url'

/** A place in a file, as a line of a stack trace names it. */
const FRAME = /(?:^|[ (])((?:file:\/\/)?\/[^():]+):(\d+):(\d+)\)?$/

/** Of the frames of a stack, innermost first, the first in a file that isn't `ours`, nor Node.js's: `file:line:column`. */
export function placeIn(stack: string, ours: (file: string) => boolean): string | null {
  for (const line of stack.split('\n')) {
    const frame = FRAME.exec(line)
    if (frame === null) continue
    const file = pathOf(frame[1])
    if (!ours(file)) return `${file}:${frame[2]}:${frame[3]}`
  }
  return null
}

export function pathOf(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url
}
