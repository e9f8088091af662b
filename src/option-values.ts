/** Strict readers for option values. Each throws IXY_ERR_USAGE with one line that says what is allowed. */
import type { Option } from 'commander'
import { usageError } from './errors.ts'
import * as quantity from './quantity.ts'

export { usageError }

type Reader = (text: string) => number

/** Lets the option take one of `allowed` and nothing else. Its description says what they mean. */
export function oneOf(option: Option, allowed: readonly string[]): Option {
  return offering(option, allowed).argParser((text) => {
    if (allowed.includes(text)) return text
    throw usageError(`${option.long} ${text} is not valid`, `give one of ${allowed.join(', ')}`)
  })
}

/** What completion offers as the option's value, or as its beginning: `duration:`. */
export function offering(option: Option, values: readonly string[]): Option {
  option.argChoices = [...values]
  return option
}

/** A reader for whole numbers from `min` to `max`, both included. */
export function wholeNumber(option: string, min: number, max: number): Reader {
  return (text) => quantity.wholeNumber(`${option} `, text, min, max)
}

/** The same, of things that may be many: `10k`. */
export function count(option: string, min: number, max: number): Reader {
  return (text) => quantity.count(`${option} `, text, min, max)
}

/** A reader for sizes in bytes. */
export function byteSize(option: string, min: number, max: number): Reader {
  return (text) => quantity.byteSize(`${option} `, text, min, max)
}

/** A reader for times, in seconds. */
export function seconds(option: string, min: number, max: number): Reader {
  return (text) => quantity.seconds(`${option} `, text, min, max)
}

/** A reader for shares from 0 to 1. */
export function share(option: string): Reader {
  return (text) => quantity.share(`${option} `, text)
}

/** A reader for million packets per second. */
export function megapackets(option: string): Reader {
  return (text) => quantity.megapackets(`${option} `, text)
}

/** A reader for descriptors per ring: powers of two, so that the loops wrap with a mask. */
export function ringSize({ min, max }: { readonly min: number; readonly max: number }): Reader {
  const sizes: number[] = []
  for (let size = min; size <= max; size *= 2) sizes.push(size)
  return (text) => {
    const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN
    if (sizes.includes(value)) return value
    throw usageError(
      `--ring-size ${text} is not valid`,
      `give a power of two from ${min} to ${max}: ${sizes.slice(0, -1).join(', ')} or ${max}`,
    )
  }
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
