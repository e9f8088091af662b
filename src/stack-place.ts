import { fileURLToPath } from 'node:url'

/** A place in a file, as a line of a stack trace names it. */
const FRAME = /(?:^|[ (])((?:file:\/\/)?\/[^():]+):(\d+):(\d+)\)?$/

/** The same in a module of WebAssembly: `at hop/step (wasm://wasm/hop-0a1b2c3d:wasm-function[3]:0x2a1)`. */
const WASM_FRAME = /at (?:(\S+) \()?wasm:\/\/\S*?(wasm-function\[\d+\]:0x[0-9a-f]+)/

/** Where in a module of WebAssembly it is that this line of a stack names; null if in none. */
export function placeInWasm(line: string): string | null {
  const [, name, place] = WASM_FRAME.exec(line) ?? []
  if (place === undefined) return null
  return name === undefined ? place : `${name} (${place})`
}

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
