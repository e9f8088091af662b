/** Values that a field takes, as users write them: one, or a range from the first to the last. */
import { usageError } from '../../../errors.ts'
import { read32 } from '../../../packet/big-endian.ts'
import { parseIpv4 } from '../../../packet/ipv4.ts'
import { parseIpv6 } from '../../../packet/ipv6.ts'
import { parseMac } from '../../../packet/mac.ts'
import { wholeNumber } from '../../../quantity.ts'

/** `count` values from `first` on. */
export interface AddressRange {
  readonly first: Uint8Array
  readonly count: number
}

export interface PortRange {
  readonly first: number
  readonly count: number
}

/** Values of one field: sums of two of them are still small integers. */
const MOST_VALUES = 2 ** 30
const MOST_BITS = 30

/** `10.0.0.1`, `10.0.0.1-10.0.0.254` or `10.0.0.0/24`, and the same of IPv6. `what` comes before the text in an error. */
export function readAddresses(what: string, text: string): AddressRange {
  const [, address, digits] = /^([^/]*)\/(\d{1,3})$/.exec(text) ?? []
  if (address !== undefined) return readPrefix(what, text, parseAddress(address), Number(digits))
  return readFromTo(what, text, parseAddress, 'as in 10.0.0.1-10.0.0.254 or 10.0.0.0/24')
}

/** `02:00:00:00:00:01` or `02:00:00:00:00:01-02:00:00:00:00:ff`. */
export function readMacs(what: string, text: string): AddressRange {
  // Dashes may be within the addresses as well.
  const [, first, last] = /^(.{17})-(.{17})$/.exec(text) ?? []
  if (first === undefined) return { first: parseMac(text), count: 1 }
  return fromTo(what, text, parseMac(first), parseMac(last), 'as in 02:00:00:00:00:01-02:00:00:00:00:ff')
}

/** `42` or `1024-2047`. */
export function readPorts(what: string, text: string): PortRange {
  const [first, last = first, ...more] = text.split('-')
  const [from, to] = [first, last].map((part) => wholeNumber(`${what} `, part, 0, 0xffff))
  const example = 'as in 1024-2047'
  if (more.length > 0)
    throw usageError(`${what} ${text} is not valid`, `give one port, or the first and the last, ${example}`)
  if (to < from)
    throw usageError(`${what} ${text} is backwards`, `give the first and then the last, ${example}`)
  return { first: from, count: to - from + 1 }
}

function parseAddress(text: string): Uint8Array {
  if (text.includes(':')) return parseIpv6(text)
  const address = parseIpv4(text)
  return Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address)
}

function readPrefix(what: string, text: string, address: Uint8Array, bits: number): AddressRange {
  const free = address.length * 8 - bits
  if (free < 0)
    throw usageError(`${what} ${text} is not valid`, `give a prefix of at most ${address.length * 8} bits`)
  if (free > MOST_BITS)
    throw usageError(
      `${what} ${text} has more than ${MOST_VALUES} addresses`,
      `give a prefix of at least ${address.length * 8 - MOST_BITS} bits`,
    )
  const first = address.map((byte, i) => {
    const beyond = Math.min(8, Math.max(0, (i + 1) * 8 - bits))
    return byte & (0xff << beyond)
  })
  return { first, count: 2 ** free }
}

function readFromTo(
  what: string,
  text: string,
  parse: (part: string) => Uint8Array,
  example: string,
): AddressRange {
  const [first, last, ...more] = text.split('-')
  if (last === undefined) return { first: parse(first), count: 1 }
  if (more.length > 0)
    throw usageError(`${what} ${text} is not valid`, `give the first and the last, ${example}`)
  return fromTo(what, text, parse(first), parse(last), example)
}

function fromTo(
  what: string,
  text: string,
  first: Uint8Array,
  last: Uint8Array,
  example: string,
): AddressRange {
  const fixed = first.length - 4
  if (last.length !== first.length)
    throw usageError(`${what} ${text} goes from one version of IP to the other`, `give a range, ${example}`)
  if (!first.subarray(0, fixed).every((byte, i) => byte === last[i]))
    throw usageError(
      `${what} ${text}: the two ends differ in more than their last 32 bits`,
      `give a smaller range, ${example}`,
    )
  const count = (read32(last, fixed) >>> 0) - (read32(first, fixed) >>> 0) + 1
  if (count < 1)
    throw usageError(`${what} ${text} is backwards`, `give the first and then the last, ${example}`)
  if (count > MOST_VALUES)
    throw usageError(
      `${what} ${text} has more than ${MOST_VALUES} values`,
      `give a smaller range, ${example}`,
    )
  return { first, count }
}
