import { usageError } from '../../errors.ts'
import { seconds, share, wholeNumber } from '../../quantity.ts'
import type { FaultOptions } from './fault.ts'

const KINDS =
  'drop=<p>, corrupt=<p>, dup=<p>, reorder=<p>, linkflap=<plugged>[/<unplugged>], unplugged=<time> and seed=<n>, joined by +'

export const FAULTS = ['drop', 'corrupt', 'dup', 'reorder', 'linkflap', 'unplugged', 'seed']

/**
 * `drop=0.01+linkflap=3s/1s+seed=1`. With a single time, linkflap=1s, the cable is plugged and unplugged for as long
 * each. With unplugged=2s it is plugged in two seconds after the start only. Throws IXY_ERR_USAGE.
 */
export function faultOptions(list: string): FaultOptions {
  const given = new Map<string, string>()
  for (const part of list.split('+')) {
    const [name, value, more] = part.split('=')
    if (value === undefined || more !== undefined || !FAULTS.includes(name))
      throw usageError(`'${part}' is not a fault`, `use ${KINDS}`)
    if (given.has(name)) throw usageError(`fault=${list} gives ${name}= twice`, 'give it once')
    given.set(name, value)
  }
  if (given.size === 1 && given.has('seed'))
    throw usageError(`fault=${list} names no fault`, `add one of ${KINDS}`)
  const chance = (name: string) => share(`${name}=`, given.get(name) ?? '0')
  return {
    drop: chance('drop'),
    corrupt: chance('corrupt'),
    dup: chance('dup'),
    reorder: chance('reorder'),
    linkFlap: linkFlap(given.get('linkflap')),
    unplugged: given.has('unplugged') ? milliseconds('unplugged=', given.get('unplugged') ?? '') : 0,
    seed: wholeNumber('seed=', given.get('seed') ?? '1', 0, 0xffff_ffff),
  }
}

function linkFlap(text: string | undefined): FaultOptions['linkFlap'] {
  if (text === undefined) return null
  const [plugged, unplugged = plugged, more] = text.split('/')
  if (more !== undefined) throw usageError(`linkflap=${text} has too many times`, 'write linkflap=3s/1s')
  return { plugged: milliseconds('linkflap=', plugged), unplugged: milliseconds('linkflap=', unplugged) }
}

/** From 1 ms to an hour. */
function milliseconds(what: string, text: string): number {
  return seconds(what, text, 0.001, 3600) * 1000
}
