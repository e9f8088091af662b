/** What the text behind a --help is made of: paragraphs, lists, and examples. */

export type Block =
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly (readonly [head: string, text: string])[] }
  | { readonly kind: 'examples'; readonly lines: readonly string[] }
  /** A line of its own, with a colon behind it. */
  | { readonly kind: 'title'; readonly text: string }

/** A list is indented by two: a head, two or more blanks, what it is; what is indented further goes on. */
const ITEM = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/

export function blocksOf(help: string): Block[] {
  const blocks: Block[] = []
  let text: string[] = []
  let items: [string, string][] = []
  let title = ''
  const flush = (): void => {
    if (text.length > 0) blocks.push({ kind: 'paragraph', text: text.join(' ') })
    if (items.length > 0)
      blocks.push(
        title === 'Examples' ? { kind: 'examples', lines: examples(items) } : { kind: 'list', items },
      )
    text = []
    items = []
  }
  for (const line of help.split('\n')) {
    const entry = ITEM.exec(line)
    if (line.trim() === '') {
      flush()
    } else if (entry !== null) {
      if (items.length === 0) flush()
      items.push([entry[1], entry[2] ?? ''])
    } else if (line.startsWith(' ')) {
      const last = items.at(-1)
      if (last === undefined) text.push(line.trim())
      else last[1] = `${last[1]} ${line.trim()}`.trim()
    } else if (/^[A-Z][a-z ]+:$/.test(line)) {
      flush()
      title = line.slice(0, -1)
      blocks.push({ kind: 'title', text: title })
    } else {
      if (items.length > 0) flush()
      text.push(line)
    }
  }
  flush()
  return blocks
}

/** Commands with their comments above them. */
function examples(items: readonly (readonly [string, string])[]): string[] {
  return items.flatMap(([command, comment]) => (comment === '' ? [command] : [`# ${comment}`, command]))
}
