/**
 * Numbers with units, as users write them: times, counts, shares, sizes, rates. The command line and the wires read them
 * here, so that what one takes the other does, too.
 *
 * Upper and lower case mean the same: M is a million in counts and rates, however written, and minutes in times. Each
 * reader throws IXY_ERR_USAGE with one line that says what is allowed; `what` comes before the text there, as in `count=` or
 * `--count `.
 */
import { usageError } from './errors.ts'

type Units = Readonly<Record<string, number>>

const COUNTS: Units = { '': 1, k: 1e3, m: 1e6, g: 1e9 }
const SECONDS: Units = {
  '': 1,
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  min: 60,
  h: 3600,
}
const SHARES: Units = { '': 1, '%': 0.01 }
const BYTES: Units = {
  ...{ '': 1, b: 1, k: 1e3, kb: 1e3, m: 1e6, mb: 1e6, g: 1e9, gb: 1e9 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 },
}
const RATES: Readonly<Record<string, Pick<Rate, 'of'>>> = {
  pps: { of: 'packets' },
  bit: { of: 'bits' },
  bits: { of: 'bits' },
  'bit/s': { of: 'bits' },
  bps: { of: 'bits' },
}

/** How close to a whole number a fraction of a larger unit must be: 1.1k is 1100. */
const ROUNDING = 1e-9

/** `1.5` and `Mpps` of `1.5Mpps`; null if it doesn't start with a number. */
function split(text: string): { readonly value: number; readonly unit: string } | null {
  const match = /^((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,2})?)(.*)$/i.exec(text)
  return match === null ? null : { value: Number(match[1]), unit: match[2] }
}

/** NaN if it isn't written like that. */
function read(text: string, units: Units): number {
  const parts = split(text)
  const unit = parts?.unit.toLowerCase() ?? ''
  return parts !== null && Object.hasOwn(units, unit) ? parts.value * units[unit] : NaN
}

function inRange(what: string, text: string, value: number, min: number, max: number, fix: string): number {
  if (value >= min && value <= max) return value
  throw usageError(`${what}${text} is not valid`, fix)
}

/** A number or address that isn't a quantity: digits only. */
export function wholeNumber(what: string, text: string, min: number, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
  return inRange(what, text, value, min, max, `give a whole number from ${min} to ${max}`)
}

/** `1000`, `1k`, `1.5M` or `1e6`. */
export function count(what: string, text: string, min: number, max: number): number {
  const value = whole(read(text, COUNTS))
  return inRange(
    what,
    text,
    value,
    min,
    max,
    `give a whole number from ${min} to ${max}, as in 500, 10k or 2M`,
  )
}

/** `60`, `9kB` or `64KiB`, as bytes. */
export function byteSize(what: string, text: string, min: number, max: number): number {
  const value = whole(read(text, BYTES))
  return inRange(what, text, value, min, max, `give a number of bytes from ${min} to ${max}`)
}

/** `10`, `10s`, `500ms`, `2m`, `1h`; a number alone is seconds. As seconds, like `min` and `max`. */
export function seconds(what: string, text: string, min: number, max: number): number {
  const fix = `give a time from ${timeText(min)} to ${timeText(max)}, as in 10s, 500ms, 2m or 1h`
  return inRange(what, text, read(text, SECONDS), min, max, fix)
}

/** `0.01`, `1e-2` or `1%`. */
export function share(what: string, text: string): number {
  return inRange(what, text, read(text, SHARES), 0, 1, 'give a share from 0 to 1, or from 0% to 100%')
}

/** `0.5` or `10`: how many times as much. */
export function factor(what: string, text: string): number {
  const fix = 'give a factor above 0, as in 0.5 or 10'
  return inRange(what, text, read(text, { '': 1, x: 1 }), Number.MIN_VALUE, 1e9, fix)
}

export interface Rate {
  readonly value: number
  /** Packets or bits per second, share of the link's speed, or as much as can be had. */
  readonly of: 'packets' | 'bits' | 'link' | 'max'
}

/** `1.5Mpps`, `500kpps`, `200pps`; `2Gbit`, `2Gbps`, `100Mbit/s`; `10%`; `max`. */
export function rate(text: string): Rate {
  if (text.toLowerCase() === 'max') return { value: Infinity, of: 'max' }
  const rate = split(text)
  const found = rate === null || !(rate.value > 0) ? null : rateOf(rate.value, rate.unit)
  if (found !== null) return found
  // Bps are bytes to some and bits to others.
  const fix = /B[pP][sS]$/.test(text)
    ? 'write bits, as in 2Gbit'
    : 'write it as in 1.5Mpps, 500kpps, 2Gbit, 10% or max'
  throw usageError(`'${text}' is not a packet rate`, fix)
}

function rateOf(value: number, unit: string): Rate | null {
  if (unit === '%') return { value: value / 100, of: 'link' }
  if (/B[pP][sS]$/.test(unit)) return null
  const name = unit.toLowerCase()
  if (Object.hasOwn(RATES, name)) return { value, ...RATES[name] }
  const [factor, rest] = [name.slice(0, 1), name.slice(1)]
  return factor !== '' && Object.hasOwn(COUNTS, factor) && Object.hasOwn(RATES, rest)
    ? { value: value * COUNTS[factor], ...RATES[rest] }
    : null
}

/** `5` or `5Mpps`, `100kpps`: million packets per second, from 0 to 1000. */
export function megapackets(what: string, text: string): number {
  const parts = split(text)
  if (parts === null) return inRange(what, text, NaN, 0, 0, MEGAPACKETS)
  const written =
    parts.unit === '' ? { value: parts.value * 1e6, of: 'packets' } : rateOf(parts.value, parts.unit)
  return inRange(what, text, written?.of === 'packets' ? written.value / 1e6 : NaN, 0, 1000, MEGAPACKETS)
}

const MEGAPACKETS = 'give million packets per second from 0 to 1000, as in 5, or a rate as in 100kpps'

/** NaN if it isn't whole. */
function whole(value: number): number {
  const nearest = Math.round(value)
  return Math.abs(value - nearest) <= nearest * ROUNDING ? nearest : NaN
}

/** 0.01 → 10ms */
function timeText(value: number): string {
  return value < 1 ? `${value * 1000}ms` : `${value}s`
}
