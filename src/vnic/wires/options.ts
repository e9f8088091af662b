/** Readers for the values of wire options. Each throws IXY_ERR_USAGE with one line that says what is allowed. */
import { IxyError } from '../../errors.ts'

export function usageError(what: string, fix: string): IxyError {
  return new IxyError('IXY_ERR_USAGE', what, fix)
}

/** `what` names the option in messages: `count=`. */
export function wholeNumber(what: string, text: string, min: number, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
  if (value >= min && value <= max) return value
  throw usageError(`${what}${text} is not possible`, `give a whole number from ${min} to ${max}`)
}

export function probability(what: string, text: string): number {
  const value = /^(\d+\.?\d*|\.\d+)(e-\d+)?$/i.test(text) ? Number(text) : NaN
  if (value >= 0 && value <= 1) return value
  throw usageError(`${what}${text} is not possible`, 'give a probability from 0 to 1, as in 0.01')
}

/** `500ms` or `1.5s` as milliseconds, from 1 ms to an hour. */
export function duration(what: string, text: string): number {
  const match = /^(\d+\.?\d*|\.\d+)(ms|s)$/.exec(text)
  const value = Number(match?.[1]) * (match?.[2] === 's' ? 1000 : 1)
  if (match !== null && value >= 1 && value <= 3_600_000) return value
  throw usageError(`${what}${text} is not possible`, 'give a time as in 1s or 500ms, up to 3600s')
}
