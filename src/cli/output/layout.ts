/** How text lines come to fit a terminal. */
import { stripVTControlCharacters } from 'node:util'

/** Columns where stdout is no terminal. */
export const COLUMNS = 80
/** What a name is shortened to at most. */
const SHORTEST_NAME = 16

/** Columns on screen: colours take none. */
export function widthOf(text: string): number {
  return stripVTControlCharacters(text).length
}

/** Breaks a line behind commas and colons, between words where that isn't enough; what follows is indented. */
export function wrap(line: string, columns: number): string[] {
  if (widthOf(line) <= columns) return [line]
  const [indent] = /^ */.exec(line) ?? ['']
  const deeper = `${indent}  `
  const lines: string[] = []
  let current = ''
  const add = (piece: string): void => {
    const longer = current === '' ? piece : `${current} ${piece}`
    if (current.trim() === '' || widthOf(longer) <= columns) {
      current = longer
      return
    }
    lines.push(current)
    current = deeper + piece
  }
  for (const piece of line.slice(indent.length).split(/(?<=[,:;]) /)) {
    if (deeper.length + widthOf(piece) <= columns) add(current === '' ? indent + piece : piece)
    else for (const word of piece.split(' ')) add(current === '' ? indent + word : word)
  }
  return [...lines, current]
}

/** Takes out of the middle of `name` what `line` is too long by. */
export function shorten(name: string, line: string, columns: number): string {
  const excess = widthOf(line) - columns
  if (excess <= 0) return name
  const keep = Math.max(SHORTEST_NAME, name.length - excess)
  if (keep >= name.length) return name
  const front = Math.ceil((keep - 1) / 2)
  return `${name.slice(0, front)}…${name.slice(name.length - (keep - 1 - front))}`
}

interface Named {
  readonly index: number
  readonly device: string
  readonly queue?: number | null | undefined
  readonly owner?: { readonly pid: number } | undefined
}

/** Names of files may hold anything, also what a terminal obeys, or what turns its lines around. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '?')
}

/** `virtual:gen`; `virtual:gen #0 queue 1` where another device of the same process has the same name. */
export function labels(devices: readonly Named[]): string[] {
  const key = ({ device, owner }: Named): string => `${owner?.pid ?? ''} ${device}`
  const indexes = new Map<string, Set<number>>()
  for (const named of devices) {
    const same = indexes.get(key(named)) ?? new Set()
    indexes.set(key(named), same.add(named.index))
  }
  return devices.map((named) => {
    const twin = (indexes.get(key(named))?.size ?? 0) > 1 ? ` #${named.index}` : ''
    return `${printable(named.device)}${twin}${typeof named.queue === 'number' ? ` queue ${named.queue}` : ''}`
  })
}
