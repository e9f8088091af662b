/**
 * The frames of the `gen` wire. They are proper IPv4/UDP frames of at least 60 bytes (src/packet/template.ts) in whose
 * payload the receiving end finds out who sent it, and whether it is whole:
 *
 *     0              42      44      48     49     50    52     56        60
 *     +--------------+-------+-------+------+------+-----+------+---------+------------
 *     | Ethernet,    | nonce | magic | free | gene-| flow| check| sequence| 60, 61, 62…
 *     | IPv4, UDP    |       |       |      | rator|     |      | number  |
 *     +--------------+-------+-------+------+------+-----+------+---------+------------
 *
 * - All words are little-endian: a frame is read as 32-bit words of this machine.
 * - Byte 48 is where `forward --touch` writes; the check leaves it out.
 * - The nonce tells the generators of one process from those of others.
 * - The generator is also in the last byte of the source MAC, so that a frame with a flipped bit still has an owner.
 *
 * The check is a sum of all words with odd weights that depend on the position: a flipped bit is always found, words that
 * changed places nearly always. It is linear, so the sender adds one product per frame for the sequence number.
 */
import { allocateBytes, type Bytes } from '../../packet/bytes.ts'
import { buildFrame, DEFAULT_TEMPLATE } from '../../packet/template.ts'

export const NONCE = 42
export const TOUCHED = 48
export const GENERATOR = 49
export const SOURCE_MAC_GENERATOR = 11
export const MAGIC = 0x6779_7869
export const MIN_TEST_FRAME = 60

/** Word indices. The source port is in the upper half of its word. */
export const SOURCE_PORT_WORD = 8
export const NONCE_WORD = NONCE >> 2
export const MAGIC_WORD = 11
export const OWNER_WORD = 12
export const CHECK_WORD = 13
export const SEQUENCE_WORD = 14

const NOT_TOUCHED = 0xffff_ff00
/** What one more in a word adds to the check. Odd, like all weights. */
export const SOURCE_PORT_WEIGHT = 0x9e3779b9
export const OWNER_WEIGHT = 0x68e31da5
export const SEQUENCE_WEIGHT = 0x1b873593
const LENGTH_WEIGHT = 0xcc9e2d51
/** Makes weights that are odd, whatever the place. */
const EVEN = 0x9e3779b2

/** Generators in one process; the number is stored together with its complement. */
export const MAX_GENERATORS = 16

/** 0 to 15, as stored in a frame. */
export function encodeGenerator(generator: number): number {
  return generator | ((~generator << 4) & 0xf0)
}

/** The reverse; -1 if that is no generator. */
export function decodeGenerator(byte: number): number {
  return ((byte >>> 4) ^ (byte & 0xf)) === 0xf ? byte & 0xf : -1
}

/**
 * The check of a frame, as a signed 32-bit number. `offset` must be a multiple of 4, `length` at least 60.
 *
 * The first 60 bytes are written out: a loop costs twice as much. `| 0` and Math.imul keep V8 to 32-bit arithmetic; a
 * plain sum of Uint32 elements would be one of doubles.
 */
export function frameCheck(memory: Bytes, offset: number, length: number): number {
  const words = memory.u32
  const i = offset >>> 2
  let sum = Math.imul(length, LENGTH_WEIGHT)
  sum = (sum + Math.imul(words[i], 0x9e3779b1)) | 0
  sum = (sum + Math.imul(words[i + 1], 0x85ebca77)) | 0
  sum = (sum + Math.imul(words[i + 2], 0xc2b2ae3d)) | 0
  sum = (sum + Math.imul(words[i + 3], 0x27d4eb2f)) | 0
  sum = (sum + Math.imul(words[i + 4], 0x165667b1)) | 0
  sum = (sum + Math.imul(words[i + 5], 0xd3a2646d)) | 0
  sum = (sum + Math.imul(words[i + 6], 0xfd7046c5)) | 0
  sum = (sum + Math.imul(words[i + 7], 0xb55a4f09)) | 0
  sum = (sum + Math.imul(words[i + SOURCE_PORT_WORD], SOURCE_PORT_WEIGHT)) | 0
  sum = (sum + Math.imul(words[i + 9], 0x6c8e9cf5)) | 0
  sum = (sum + Math.imul(words[i + NONCE_WORD], 0x7feb352d)) | 0
  sum = (sum + Math.imul(words[i + MAGIC_WORD], 0x846ca68b)) | 0
  sum = (sum + Math.imul(words[i + OWNER_WORD] & NOT_TOUCHED, OWNER_WEIGHT)) | 0
  sum = (sum + Math.imul(words[i + SEQUENCE_WORD], SEQUENCE_WEIGHT)) | 0
  return length === MIN_TEST_FRAME ? sum : (sum + restCheck(memory, offset, length)) | 0
}

/** What the bytes from 60 on add: weights differ within four words and grow from four to four. */
function restCheck(memory: Bytes, offset: number, length: number): number {
  const words = memory.u32
  const end = (offset + length) >>> 2
  let i = (offset + MIN_TEST_FRAME) >>> 2
  let sum = 0
  let sumOfSums = 0
  for (; i + 3 < end; i += 4) {
    sum = (sum + Math.imul(words[i], 0x9e3779b1)) | 0
    sum = (sum + Math.imul(words[i + 1], 0x85ebca77)) | 0
    sum = (sum + Math.imul(words[i + 2], 0xc2b2ae3d)) | 0
    sum = (sum + Math.imul(words[i + 3], 0x27d4eb2f)) | 0
    sumOfSums = (sumOfSums + sum) | 0
  }
  for (let byte = i << 2; byte < offset + length; byte++) {
    sum = (sum + Math.imul(memory.u8[byte], 0x165667b1)) | 0
    sumOfSums = (sumOfSums + sum) | 0
  }
  return (sum + Math.imul(sumOfSums, EVEN)) | 0
}

/** A frame with sequence number 0 and a valid check. */
export function buildTestFrame(nonce: number, generator: number, size: number, flow: number): Bytes {
  const owner = encodeGenerator(generator)
  const sourceMac = Uint8Array.from(DEFAULT_TEMPLATE.sourceMac)
  sourceMac[5] = owner
  const memory = allocateBytes(size)
  memory.u8.set(buildFrame({ ...DEFAULT_TEMPLATE, sourceMac }, size, flow))
  memory.u8[NONCE] = nonce
  memory.u8[NONCE + 1] = nonce >>> 8
  memory.u32[MAGIC_WORD] = MAGIC
  memory.u32[OWNER_WORD] = (flow << 16) | (owner << 8)
  memory.u32[SEQUENCE_WORD] = 0
  for (let i = MIN_TEST_FRAME; i < size; i++) memory.u8[i] = i
  memory.u32[CHECK_WORD] = frameCheck(memory, 0, size)
  return memory
}
