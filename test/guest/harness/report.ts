/** One line per check, and the count at the end. */

const color = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text)

export class Report {
  passed = 0
  failed = 0
  skipped = 0

  pass(scenario: string, check: string, detail = ''): void {
    this.passed++
    console.log(`${paint(32, 'ok  ')} ${scenario}: ${check}${detail === '' ? '' : ` (${detail})`}`)
  }

  fail(scenario: string, check: string, error: unknown): void {
    this.failed++
    const message = error instanceof Error ? error.message : String(error)
    console.log(`${paint(31, 'FAIL')} ${scenario}: ${check}\n${message.trimEnd().replace(/^/gm, '       ')}`)
  }

  skip(scenario: string, check: string, reason: string): void {
    this.skipped++
    console.log(`${paint(33, 'skip')} ${scenario}: ${check} (${reason})`)
  }

  note(line: string): void {
    console.log(`     ${line}`)
  }

  /** Prints the summary; returns the exit code. A run without a single check has proved nothing. */
  finish(): number {
    console.log(`${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`)
    return this.failed === 0 && this.passed > 0 ? 0 : 1
  }
}
