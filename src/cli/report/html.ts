/** HTML out of text that may be anything: what is put into a template is escaped, unless it is HTML already. */

export class Html {
  readonly text: string
  /** `text` is HTML as it stands. */
  constructor(text: string) {
    this.text = text
  }
}

type Value = string | number | Html | null | readonly Value[]

export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(strings.reduce((all, string, i) => all + textOf(values[i - 1]) + string))
}

function textOf(value: Value): string {
  if (value === null) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(textOf).join('')
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character])
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** JSON for a data block: no text in it ends the block. */
export function jsonBlock(id: string, value: unknown): Html {
  const json = JSON.stringify(value).replaceAll('<', '\\u003c')
  return new Html(`<script type="application/json" id="${id}">${json}</script>`)
}

const NUMBER = new Html(' class="n"')

/** A table that scrolls sideways where it is too wide; columns from the second on are numbers, to be aligned. */
export function table(
  caption: string,
  head: readonly Value[],
  rows: readonly (readonly Value[])[],
  text = 1,
): Html {
  const cell = (value: Value, column: number): Html =>
    column === 0
      ? html`<th scope="row" ${column < text ? null : NUMBER}>${value}</th>`
      : html`<td${column < text ? null : NUMBER}>${value}</td>`
  const headCell = (value: Value, column: number): Html =>
    html`<th scope="col" ${column < text ? null : NUMBER}>${value}</th>`
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map(headCell)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map(cell)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

/** A figure that stands out, in a <dl class="tiles">. */
export function tile(title: string, value: string, more: string, bad = false): Html {
  return html`<div class="tile${bad ? ' bad' : ''}">
    <dt>${title}</dt>
    <dd><b>${value}</b><span>${more}</span></dd>
  </div>`
}
