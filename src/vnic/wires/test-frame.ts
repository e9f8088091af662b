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
 * - A fault wire flips no bit of what identifies the frame, so that each damaged frame is known to be the one it was.
 *
 * The check is a sum of all words with odd weights that depend on the position: a flipped bit is always found, words that
 * changed places nearly always. It is linear, so the sender adds one product per frame for the sequence number.
 */
import { allocateBytes, type Bytes } from '../../packet/bytes.ts'
import { buildFrame, DEFAULT_TEMPLATE } from '../../packet/template.ts'
import * as F from './test-frame-layout.ts'

/** 0 to 15, as stored in a frame. */
export function encodeGenerator(generator: number): number {
  return generator | ((~generator << 4) & 0xf0)
}

/** Of the words from the first on; those that the check leaves out have 0. */
const WEIGHTS: readonly number[] = [
  F.WEIGHT_0,
  F.WEIGHT_1,
  F.WEIGHT_2,
  F.WEIGHT_3,
  F.WEIGHT_4,
  F.WEIGHT_5,
  F.WEIGHT_6,
  F.WEIGHT_7,
  F.SOURCE_PORT_WEIGHT,
  F.WEIGHT_9,
  F.NONCE_WEIGHT,
  F.MAGIC_WEIGHT,
  F.OWNER_WEIGHT,
  0,
  F.SEQUENCE_WEIGHT,
]

/**
 * The check of a frame at the start of `memory`, as a signed 32-bit number; `length` is at least 60. This is its definition;
 * the receiving end computes it in wasm/ledger.ts.
 */
export function frameCheck({ u8, u32 }: Bytes, length: number): number {
  let sum = Math.imul(length, F.LENGTH_WEIGHT)
  WEIGHTS.forEach((weight, word) => {
    const value = word === F.OWNER_WORD ? u32[word] & F.NOT_TOUCHED : u32[word]
    sum = (sum + Math.imul(value, weight)) | 0
  })
  // From here on weights differ within four words and grow from four to four.
  let rest = 0
  let sumOfSums = 0
  let word = WEIGHTS.length
  for (; word + 3 < length >> 2; word += 4) {
    for (let i = 0; i < 4; i++) rest = (rest + Math.imul(u32[word + i], WEIGHTS[i])) | 0
    sumOfSums = (sumOfSums + rest) | 0
  }
  for (let byte = word << 2; byte < length; byte++) {
    rest = (rest + Math.imul(u8[byte], F.WEIGHT_4)) | 0
    sumOfSums = (sumOfSums + rest) | 0
  }
  return (sum + rest + Math.imul(sumOfSums, F.EVEN)) | 0
}

/** A frame with sequence number 0 and a valid check. */
export function buildTestFrame(nonce: number, generator: number, size: number, flow: number): Bytes {
  const owner = encodeGenerator(generator)
  const memory = allocateBytes(size)
  memory.u8.set(buildFrame(DEFAULT_TEMPLATE, size, flow))
  memory.u8[F.NONCE] = nonce
  memory.u8[F.NONCE + 1] = nonce >>> 8
  memory.u32[F.MAGIC_WORD] = F.MAGIC
  memory.u32[F.OWNER_WORD] = (flow << 16) | (owner << 8)
  memory.u32[F.SEQUENCE_WORD] = 0
  for (let i = F.MIN_TEST_FRAME; i < size; i++) memory.u8[i] = i
  memory.u32[F.CHECK_WORD] = frameCheck(memory, size)
  return memory
}
