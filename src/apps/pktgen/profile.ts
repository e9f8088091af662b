/** `--profile`: several streams, read from a file of YAML or JSON, which YAML understands. */
import { readFileSync, statSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { IxyError, isIxyError, usageError } from '../../errors.ts'
import { packetsPerSecond } from '../../packet/rate.ts'
import { count as readCount, rate as readRate } from '../../quantity.ts'
import type { Stream } from './options.ts'
import { shapeOf, type Surroundings } from './templates/shape.ts'
import { STREAM_OPTIONS, type StreamFlag, type StreamFlags } from './templates/stream-options.ts'

const MOST_STREAMS = 16
const LONGEST_NAME = 40
const OWN_KEYS = ['name', 'rate', 'share', 'count']
/** Any link; what a real one carries is known later. */
const ANY_LINK_MBIT = 1e6
const LEAST_FRAME = 60

type Entry = Readonly<Record<string, unknown>>

/** Throws IXY_ERR_FILE, IXY_ERR_USAGE, each with file, stream and key. */
export function readProfile(file: string, surroundings: Omit<Surroundings, 'called'>): readonly Stream[] {
  const content = parse(file)
  const top = isEntry(content) ? content : {}
  refuseUnknown(top, ['streams'], file)
  const { streams } = top
  if (!Array.isArray(streams) || streams.length === 0)
    throw usageError(`${file} has no streams`, 'begin with "streams:" and a list, as docs/pktgen.md shows')
  if (streams.length > MOST_STREAMS)
    throw usageError(`${file} has ${streams.length} streams`, `give at most ${MOST_STREAMS}`)
  const read = streams.map((entry: unknown, i) => readStream(file, entry, i, surroundings))
  const twice = read.find(({ name }, i) => read.findIndex((other) => other.name === name) < i)
  if (twice !== undefined) throw usageError(`${file}: two streams are called ${twice.name}`, 'rename one')
  const paced = read.filter(({ rate }) => rate !== null).length
  if (paced > 0 && paced < read.length)
    throw usageError(
      `${file}: ${paced} of ${read.length} streams have a rate`,
      'give each of them one, or none: shares of --rate',
    )
  return read
}

function parse(file: string): unknown {
  let text: string
  try {
    // Nobody may ever write to a pipe, and a device may have no end.
    if (!statSync(file).isFile()) throw new Error('it is no regular file')
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const reason = String(error).replace(/^Error: |, .*$/g, '')
    throw new IxyError('IXY_ERR_FILE', `${file}: ${reason}`, 'name a file of YAML or JSON', { cause: error })
  }
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error !== undefined) {
    const [what] = error.message.split('\n')
    throw new IxyError('IXY_ERR_FILE', `${file}: ${what.replace(/:$/, '')}`, 'mend the YAML there')
  }
  return document.toJS() as unknown
}

function readStream(
  file: string,
  entry: unknown,
  i: number,
  surroundings: Omit<Surroundings, 'called'>,
): Stream {
  const number = `${file}: stream ${i + 1}`
  if (!isEntry(entry))
    throw usageError(`${number} is no list of keys and values`, 'write it as in "- size: 60"')
  const name = readName(entry['name'], number, i)
  const where = entry['name'] === undefined ? number : `${number} (${name})`
  const options = Object.entries(STREAM_OPTIONS)
  refuseUnknown(entry, [...OWN_KEYS, ...options.map(([, option]) => option.name)], where)
  const text = (key: string): string | null => valueOf(entry[key], where, key)
  const flags = Object.fromEntries(
    options.flatMap(([flag, option]) => {
      const value = text(option.name)
      // Off: as if it weren't there.
      if (value === null || (option.value === null && value === 'off')) return []
      if (option.value === null && value !== 'on')
        throw usageError(`${where}: ${option.name} ${value} is not valid`, 'write true or false')
      return [[flag as StreamFlag, within(where, () => option.read(option.name, value))]]
    }),
  ) as StreamFlags
  const rate = text('rate')
  const share = text('share')
  if (rate !== null && share !== null)
    throw usageError(`${where} has both rate and share`, 'leave one of them out')
  if (rate !== null) within(where, () => checkRate(rate))
  const count = text('count')
  return {
    name,
    shape: within(where, () => shapeOf(flags, { ...surroundings, called: (key) => key })),
    rate,
    share: share === null ? 1 : readShare(share, where),
    count:
      count === null ? null : within(where, () => readCount('count ', count, 1, Number.MAX_SAFE_INTEGER)),
  }
}

function readName(value: unknown, where: string, i: number): string {
  if (value === undefined) return `stream ${i + 1}`
  const name = String(value)
  // It stands in a line of text among others.
  if (/^[\w.-][\w .-]*$/.test(name) && name.length <= LONGEST_NAME) return name
  throw usageError(
    `${where}: name ${JSON.stringify(value)} is not valid`,
    `give letters, digits, ., - and spaces, ${LONGEST_NAME} at most`,
  )
}

function readShare(text: string, where: string): number {
  const share = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : NaN
  if (share > 0) return share
  throw usageError(`${where}: share ${text} is not valid`, 'give a number above 0, as in 3')
}

function checkRate(text: string): void {
  if (readRate(text).of === 'max')
    throw usageError('rate max is not for one of several streams', 'give shares, and --rate max')
  packetsPerSecond(text, LEAST_FRAME, ANY_LINK_MBIT)
}

/** As it would be written on the command line; null if it isn't there. */
function valueOf(value: unknown, where: string, key: string): string | null {
  if (value === undefined) return null
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  if (Array.isArray(value) && value.every((part) => typeof part === 'string' || typeof part === 'number'))
    return value.join(',')
  throw usageError(`${where}: ${key} is not valid`, 'give one value, or a list of values')
}

/** What `read` refuses is told with where it was read. */
function within<Value>(where: string, read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (!isIxyError(error)) throw error
    throw new IxyError(error.code, `${where}: ${error.message}`, '', { cause: error })
  }
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuseUnknown(entry: Entry, known: readonly string[], where: string): void {
  const stray = Object.keys(entry).find((key) => !known.includes(key))
  if (stray === undefined) return
  const likely = known.find((key) => likeness(key, stray))
  throw usageError(
    `${where}: there is no key ${stray}`,
    likely === undefined ? `give one of ${known.join(', ')}` : `did you mean ${likely}?`,
  )
}

/** Written alike but for case, _ for -, and one letter more, fewer or other, or two exchanged. */
function likeness(key: string, written: string): boolean {
  const [a, b] = [key, written.toLowerCase().replaceAll('_', '-').replace(/^-+/, '')]
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  let end = 0
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)]
  const exchanged = left.length === 2 && right === left[1] + left[0]
  return (
    Math.max(left.length, right.length) <= 1 || exchanged || a.replaceAll('-', '') === b.replaceAll('-', '')
  )
}
