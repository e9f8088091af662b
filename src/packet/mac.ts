/** MAC addresses as text and as six bytes. */
import { IxyError } from '../errors.ts'

/** Bytes of a MAC address. */
export const MAC_BYTES = 6

/** `52:54:00:00:00:01` (or with dashes) as six bytes. Throws IXY_ERR_USAGE for anything else. */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i.test(text))
    throw new IxyError(
      'IXY_ERR_USAGE',
      `'${text}' is not a MAC address`,
      'write six bytes as in 52:54:00:00:00:01',
    )
  return Uint8Array.from(text.split(/[:-]/), (byte) => parseInt(byte, 16))
}

/** As parseMac, for the address of one interface. Throws IXY_ERR_USAGE also for zero and for groups (multicast). */
export function parseUnicastMac(text: string): Uint8Array {
  const mac = parseMac(text)
  const fix = 'give one whose first byte is even, as in 52:54:00:00:00:01'
  if ((mac[0] & 1) !== 0)
    throw new IxyError('IXY_ERR_USAGE', `${text} is the address of a group (multicast)`, fix)
  if (mac.every((byte) => byte === 0))
    throw new IxyError('IXY_ERR_USAGE', `${text} is no address of an interface`, fix)
  return mac
}

/** The six bytes at `offset` as `52:54:00:00:00:01`. Throws RangeError if there are fewer. */
export function formatMac(memory: Uint8Array, offset = 0): string {
  if (offset < 0 || offset + MAC_BYTES > memory.length) throw new RangeError(`no MAC address at ${offset}`)
  const bytes: string[] = []
  for (let i = 0; i < MAC_BYTES; i++) bytes.push(memory[offset + i].toString(16).padStart(2, '0'))
  return bytes.join(':')
}

/** Every station: `ff:ff:ff:ff:ff:ff`. Not to be written to. */
export const BROADCAST_MAC = new Uint8Array(MAC_BYTES).fill(0xff)
