/** Pieces of a manual page in roff's man macros, as man(7) has them. */

const SPECIAL: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
}

/** Text as it is to appear, of one line. */
export function escaped(text: string): string {
  const marked = text.replaceAll(/[\\'"`^~-]/g, (sign) => SPECIAL[sign])
  const ascii = marked.replaceAll(/[^\0-\x7f]/gu, (sign) => {
    const code = (sign.codePointAt(0) ?? 0).toString(16).toUpperCase()
    return `\\[u${code.padStart(4, '0')}]`
  })
  // What begins with a dot would be taken for a macro.
  return ascii.startsWith('.') ? `\\&${ascii}` : ascii
}

/** `-w, --write <file>`: what is typed as it is bold, what stands for something is in italics, without its angle brackets. */
export function term(text: string): string {
  const parts = text.split(/(<[^<>]+>|\[[^[\]]+\])/).map((part) => {
    if (/^<.*>$/.test(part)) return `\\fI${escaped(part.slice(1, -1))}\\fR`
    if (/^\[.*\]$/.test(part)) return `[\\fI${escaped(part.slice(1, -1).replace(/^<(.*)>$/, '$1'))}\\fR]`
    return part === '' ? '' : `\\fB${escaped(part)}\\fR`
  })
  return parts.join('')
}

export function section(title: string): string {
  return `.SH ${escaped(title.toUpperCase())}`
}

export function paragraph(text: string): string {
  return `.PP\n${escaped(text)}`
}

/** A term, in roff already, and what is to say about it. */
export function item(head: string, text: string): string {
  return `.TP\n${head}\n${escaped(text)}`
}

/** Lines that stay as they are, indented. */
export function example(lines: readonly string[]): string {
  return ['.RS 4', '.nf', ...lines.map(escaped), '.fi', '.RE'].join('\n')
}
