/** From the text of a `<wire>` argument to a wire. */
import { endOfPart, isStandardStream, toPath } from '../../captures/file-name.ts'
import { usageError } from '../../errors.ts'
import { CombinedWire } from './combine.ts'
import type { WireContext, WireItem } from './kind.ts'
import { WIRE_KINDS } from './list.ts'
import { SinkWire } from './sink.ts'
import type { Wire } from './wire.ts'

/**
 * Checks a `<wire>` argument without creating anything: names, options, numbers, and that a capture to be replayed can
 * be read and starts as one. That nothing is used twice shows in wireClaims(). Throws IXY_ERR_USAGE or IXY_ERR_FILE.
 */
export function validateWire(text: string): void {
  check(partsOf(text))
}

function check(items: readonly WireItem[]): void {
  for (const item of items) item.kind.check(item)
}

/**
 * Makes the wire that a `<wire>` argument describes; the caller closes it. Its parts, seen from the NIC:
 *
 *     NIC ---- record ---- fault ---- gen, sink, loop, tap, replay
 *
 * Everything the NIC sends is recorded, and goes through the faults to each of the others. What they send comes through the
 * faults to the NIC. One part, if any can, books in the ledger what the NIC sends, unless a loop sends it back.
 *
 * Throws IXY_ERR_USAGE, IXY_ERR_FILE, and what opening a TAP throws; nothing stays open then.
 */
export function parseWires(text: string, context: WireContext): Wire {
  const items = partsOf(text)
  check(items)
  const bookkeeper = bookkeeperOf(items)
  const made: Wire[] = []
  const make = (item: WireItem, inner: Wire): Wire => {
    const wire = item.kind.create(item, context, item === bookkeeper, inner)
    made.push(wire)
    return wire
  }
  const makeAll = (some: readonly WireItem[]) => some.map((item) => make(item, NOTHING))
  try {
    const ends = items.filter(({ kind }) => kind.role === 'end' || kind.role === 'onward')
    const faults = items.filter(({ kind }) => kind.role === 'fault')
    // What comes through the faults has arrived, also where nothing is behind them.
    let wire =
      ends.length === 0 && faults.length > 0
        ? new SinkWire('no end', context.ledger)
        : join(makeAll(ends), ends.length, arrivals(ends))
    for (const item of faults) wire = make(item, wire)
    // Recorders come last: what another refuses isn't recorded yet.
    const records = makeAll(items.filter(({ kind }) => kind.role === 'copy'))
    return wire === NOTHING ? join(records) : join([wire, ...records], 1)
  } catch (error) {
    for (const wire of made) wire.close()
    throw error
  }
}

/**
 * What a wire sends is never more than its link carries: at most one part sends of its own accord, and that keeps to line
 * rate. Takes what validateWire() has taken.
 */
export function keepsToLineRate(text: string): boolean {
  return partsOf(text).reduce((share, item) => share + item.kind.share(item), 0) <= 1
}

const NOTHING: Wire = new CombinedWire([])

/** `ends`: how many of the wires, from the first on, a frame has to reach; `end`: at which of them it is counted. */
function join(wires: readonly Wire[], ends = wires.length, end = 0): Wire {
  if (wires.length === 0) return NOTHING
  return wires.length === 1 ? wires[0] : new CombinedWire(wires, ends, end)
}

/**
 * At which of several ends a frame has arrived: a loop, which sends it back, else one that takes everything, as all of them
 * get the same frames.
 */
function arrivals(ends: readonly WireItem[]): number {
  const loop = ends.findIndex(({ kind }) => kind === WIRE_KINDS.loop)
  return loop >= 0
    ? loop
    : Math.max(
        0,
        ends.findIndex(({ kind }) => kind.role === 'end'),
      )
}

function bookkeeperOf(items: readonly WireItem[]): WireItem | undefined {
  if (items.some(({ kind }) => kind === WIRE_KINDS.loop)) return undefined
  const end = items.find(({ kind }) => kind.role === 'end')
  // A recorder books only where it is the end: what goes on from there may still be lost.
  if (end !== undefined || items.some(({ kind }) => kind.role !== 'copy')) return end
  return items[0]
}

/** What a `<wire>` takes for itself: interfaces it creates, files it writes or reads. */
export interface WireClaim {
  readonly use: 'tap' | 'write' | 'read'
  /** Name of the interface, or of the file for node:fs; `-` for stdout and stdin by whatever name. */
  readonly resource: string | Buffer
  /** More files are made beside it, and removed. */
  readonly several?: boolean
}

/** Throws IXY_ERR_USAGE if `text` is no list of wires. */
export function wireClaims(text: string): WireClaim[] {
  return partsOf(text).flatMap(({ kind, value, options }): WireClaim[] => {
    if (kind === WIRE_KINDS.tap) return [{ use: 'tap', resource: value }]
    const writes = kind === WIRE_KINDS.record
    if (!writes && kind !== WIRE_KINDS.replay) return []
    const resource = isStandardStream(value, writes ? 1 : 0) ? '-' : toPath(value)
    const use = writes ? 'write' : 'read'
    return [options.has('filesize') ? { use, resource, several: true } : { use, resource }]
  })
}

function partsOf(text: string): WireItem[] {
  const items: WireItem[] = []
  let options = new Map<string, string>()
  for (let start = 0; start <= text.length;) {
    const end = endOfPart(text, start)
    const token = text.slice(start, end)
    start = end + 1
    const equals = token.indexOf('=')
    const name = equals < 0 ? token : token.slice(0, equals)
    const value = equals < 0 ? '' : token.slice(equals + 1)
    const last = items.at(-1)
    if (Object.hasOwn(WIRE_KINDS, name)) {
      const kind = WIRE_KINDS[name]
      if (kind.takesValue ? value === '' : equals >= 0)
        throw usageError(`'${token}' is not a complete wire`, `write ${kind.usage}`)
      options = new Map()
      items.push({ text: token, kind, value, options })
    } else if (last?.kind.options.includes(name) === true) {
      if (options.has(name)) throw usageError(`'${text}' gives ${name}= twice`, 'give it once')
      options.set(name, value)
      items[items.length - 1] = { ...last, text: `${last.text},${token}` }
    } else {
      throw unknown(token, last)
    }
  }
  return items
}

function unknown(token: string, last: WireItem | undefined): Error {
  const usages = Object.values(WIRE_KINDS).map(({ usage }) => usage)
  if (last === undefined) return usageError(`'${token}' is not a wire`, `use one of ${usages.join(' ')}`)
  return usageError(
    `'${token}' is neither a wire nor an option of '${last.text}'`,
    `write ${last.kind.usage}, or one of the wires ${usages.join(' ')}`,
  )
}
