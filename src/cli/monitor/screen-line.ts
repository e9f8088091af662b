import { printable } from '../output/layout.ts'

/** A line of a screen: pieces with a style each, cut and padded by what is seen of them. */
export type Style = 'plain' | 'dim' | 'bold' | 'red' | 'cyan' | 'green'

export class ScreenLine {
  private readonly pieces: { readonly text: string; readonly style: Style }[] = []
  /** Columns so far. */
  width = 0

  add(text: string, style: Style = 'plain'): this {
    const shown = printable(text)
    this.pieces.push({ text: shown, style })
    this.width += [...shown].length
    return this
  }

  /** `text` in so many columns, cut if it is longer, and a gap behind it. */
  left(text: string, columns: number, style: Style = 'plain'): this {
    return this.add(cut(text, columns).padEnd(columns), style).add(' ')
  }

  right(text: string, columns: number, style: Style = 'plain'): this {
    return this.add(cut(text, columns).padStart(columns), style).add(' ')
  }

  /** At most `columns` wide. */
  render(columns: number, paint: (text: string, style: Style) => string): string {
    let left = columns
    let line = ''
    for (const { text, style } of this.pieces) {
      const shown = cut(text, left)
      line += style === 'plain' ? shown : paint(shown, style)
      left -= [...shown].length
    }
    return line
  }
}

/** Its beginning, with an ellipsis where something is missing. */
export function cut(text: string, columns: number): string {
  const characters = [...text]
  if (characters.length <= columns) return text
  return columns <= 0 ? '' : `${characters.slice(0, columns - 1).join('')}…`
}
