/** Reads what `--json` has written: files, or stdin. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { isatty } from 'node:tty'
import { IxyError } from '../../errors.ts'
import { fileError } from '../../packet/pcap.ts'
import type { RunData } from './model.ts'
import { RunRecord } from './record.ts'

/** Bytes of a line; the longest is an `end` with thousands of devices and a histogram. */
const LONGEST_LINE = 16 << 20
const FIX = 'give the output of ixy-ts … --json'

/** What a file holds besides runs, and what was meant to hold none. */
const OTHER_OUTPUT: Readonly<Record<string, string>> = {
  device: 'it is the output of ixy-ts devices',
  register: 'it is the output of ixy-ts --dump-registers',
}

/** The runs in a file, `-` for stdin: one, or those that were appended to it; named as `shown`. Throws IXY_ERR_FILE. */
export async function readRuns(file: string, shown: string): Promise<RunData[]> {
  const name = file === '-' ? 'stdin' : file
  const runs = new Runs(name, file === '-' ? name : shown)
  try {
    for await (const line of linesOf(file, name)) runs.line(line)
  } catch (cause) {
    throw cause instanceof IxyError ? cause : fileError('read', name, cause)
  }
  return runs.finish()
}

class Runs {
  private readonly done: RunRecord[] = []
  private readonly name: string
  private readonly shown: string
  private record = new RunRecord()
  private number = 0
  /** The newest line, if it could not be read: the last one may be cut off. */
  private broken: { readonly line: number; readonly why: string } | null = null
  private other: string | null = null

  constructor(name: string, shown: string) {
    this.name = name
    this.shown = shown
  }

  line(text: string): void {
    if (this.broken !== null) throw this.damage(this.broken.line, this.broken.why)
    this.number++
    // Whoever keeps stdout and stderr in one file has the line of an error among the objects.
    if (text.trim() === '' || text.startsWith('ixy-ts: ')) return
    let object: unknown
    try {
      object = JSON.parse(text)
    } catch {
      this.broken = { line: this.number, why: `it is no JSON: ${excerpt(text)}` }
      return
    }
    this.object(object)
  }

  private object(object: unknown): void {
    const event = isObject(object) ? object['event'] : undefined
    if (event === undefined && isObject(object) && 'level' in object && 'msg' in object) return
    if (typeof event !== 'string') throw this.damage(this.number, 'it has no event')
    if (event === 'start' && !this.record.empty) this.next()
    try {
      if (this.record.ended && event !== 'start') this.next()
      if (!this.record.add(event, object)) this.other ??= event
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      throw this.damage(this.number, `${event}: ${error.message}`)
    }
  }

  private next(): void {
    this.done.push(this.record)
    this.record = new RunRecord()
  }

  finish(): RunData[] {
    const cutOff = this.broken !== null
    const records = [...this.done, ...(this.record.empty ? [] : [this.record])]
    if (records.length === 0) throw this.nothing()
    return records.map((record, i) => {
      const last = i === records.length - 1
      return record.data(records.length === 1 ? this.shown : `${this.shown} (run ${i + 1})`, last && cutOff)
    })
  }

  private nothing(): IxyError {
    if (this.broken !== null) return this.damage(this.broken.line, this.broken.why)
    if (this.number === 0) return new IxyError('IXY_ERR_FILE', `${this.name} is empty`, FIX)
    const what =
      this.other === null ? '' : `: ${OTHER_OUTPUT[this.other] ?? `it has ${this.other} objects only`}`
    return new IxyError('IXY_ERR_FILE', `there is no run in ${this.name}${what}`, FIX)
  }

  private damage(line: number, why: string): IxyError {
    return new IxyError('IXY_ERR_FILE', `${this.name}, line ${line}: ${why}`, FIX)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** The beginning of what a file holds instead of JSON. */
function excerpt(text: string): string {
  // eslint-disable-next-line no-control-regex
  if (/[\0-\x08\x0e-\x1f\ufffd]/.test(text.slice(0, 200))) return 'the file is binary (a capture, or packed)'
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`
}

async function* linesOf(file: string, name: string): AsyncGenerator<string> {
  if (file === '-' && isatty(0))
    throw new IxyError(
      'IXY_ERR_FILE',
      'stdin is a terminal',
      'pipe a run into it: ixy-ts … --json | ixy-ts report -',
    )
  const stream =
    file === '-' ? createReadStream('', { fd: 0, autoClose: false }) : (await open(file)).createReadStream()
  stream.setEncoding('utf8')
  let rest = ''
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE)
      throw new IxyError('IXY_ERR_FILE', `${name} has a line of more than ${LONGEST_LINE >> 20} MiB`, FIX)
    yield* lines
  }
  if (rest !== '') yield rest
}
