/** Strict readers for option values. Each throws IXY_ERR_USAGE with one line that says what is allowed. */
import { IxyError } from '../errors.ts'

export function usageError(what: string, fix = ''): IxyError {
  return new IxyError('IXY_ERR_USAGE', what, fix)
}

/** A reader for whole numbers from `min` to `max`, both included. */
export function wholeNumber(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    throw usageError(`${option} ${text} is not valid`, `give a whole number from ${min} to ${max}`)
  }
}

/** A reader for decimal numbers from `min` to `max`, both included. `what` is the unit: `seconds`. */
export function decimalNumber(option: string, min: number, max: number, what = ''): (text: string) => number {
  return (text) => {
    const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    const noun = what === '' ? 'a number' : `a number of ${what}`
    throw usageError(`${option} ${text} is not valid`, `give ${noun} from ${min} to ${max}`)
  }
}

/** Descriptors per ring. The card wants multiples of 128 bytes; powers of two let the loops wrap with a mask. */
export function ringSize(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN
  if (value >= 64 && value <= 4096 && (value & (value - 1)) === 0) return value
  throw usageError(
    `--ring-size ${text} is not valid`,
    'give a power of two from 64 to 4096: 64, 128, 256, 512, 1024, 2048 or 4096',
  )
}

/** `2,3`, `2-5` or both: CPU numbers in the order given. */
export function cpuList(text: string): readonly number[] {
  const cpus: number[] = []
  for (const part of text.split(',')) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part)
    const first = Number(match?.[1])
    const last = Number(match?.[2] ?? first)
    if (match === null || last < first || last > 4095) {
      throw usageError(`--cpus ${text} is not valid`, 'give CPU numbers as in 2,3 or 2-5')
    }
    for (let cpu = first; cpu <= last; cpu++) cpus.push(cpu)
  }
  if (new Set(cpus).size !== cpus.length)
    throw usageError(`--cpus ${text} names a CPU twice`, 'name each once')
  return cpus
}
