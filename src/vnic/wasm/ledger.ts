/** The books of the generated traffic, explained in ../wires/ledger.ts and ../wires/test-frame.ts. */
import * as F from '../wires/test-frame-layout'

/**
 * Books the frames of a burst in the ledger at `ledger`; returns how many were sent by none of its generators. Books are
 * as long as the window, behind BOOK_FLOWS and 4 bytes for each of `flows` flows.
 */
export function receive(ledger: usize, flows: i32, offsets: usize, lengths: usize, count: i32): i32 {
  const nonce = load<u32>(ledger)
  let foreign: i32 = 0
  // Mostly, one frame is of the same generator and flow as the one before.
  let identity: u64 = 0
  let book: usize = 0
  let expected: usize = 0
  let window: usize = 0
  // And counts alike: adding up in memory would make each wait for the one before.
  let counter: usize = 0
  let alike: i32 = 0
  for (const end = offsets + ((<usize>count) << 2); offsets < end; offsets += 4, lengths += 4) {
    const frame: usize = load<u32>(offsets)
    const length = load<i32>(lengths)
    if (length < F.MIN_TEST_FRAME) {
      foreign++
      continue
    }
    const found = load<u64>(frame, F.MAGIC_WORD * 4) & IDENTITY
    if (found !== identity) {
      identity = found
      book = bookOf(ledger, flows, found)
      expected = book + F.BOOK_FLOWS + ((<usize>(found >> 48)) << 2)
      window = book + F.BOOK_FLOWS + ((<usize>flows) << 2)
    }
    if (book === 0) {
      foreign++
      continue
    }
    if (load<u16>(frame, F.NONCE) !== nonce) {
      foreign++
      continue
    }
    const one = book + enter(book, ledger + F.LEDGER_WEIGHTS, expected, window, frame, length)
    if (one !== counter) {
      if (alike !== 0) add(counter, alike)
      counter = one
      alike = 0
    }
    alike++
  }
  if (alike !== 0) add(counter, alike)
  return foreign
}

/** Of the words MAGIC_WORD and OWNER_WORD together: the byte that forwarders touch says nothing. */
const IDENTITY: u64 = ((<u64>F.NOT_TOUCHED) << 32) | 0xffffffff

/** The book of the generator that sends frames like that, 0 if it is none of ours. */
function bookOf(ledger: usize, flows: i32, identity: u64): usize {
  const generator = decodeGenerator((<u32>(identity >> 40)) & 0xff)
  const flow = <i32>(identity >> 48)
  if (<u32>identity !== F.MAGIC || !known(ledger, generator) || flow >= flows) return 0
  return load<u32>(ledger + F.LEDGER_BOOKS + ((<usize>generator) << 2))
}

/** Books a frame in the window of its book; returns which of the counters it belongs to. `expected`: the next number of its flow. */
function enter(
  book: usize,
  weights: usize,
  expected: usize,
  window: usize,
  frame: usize,
  length: i32,
): usize {
  const sequence = load<u32>(frame, F.SEQUENCE_WORD * 4)
  const slot = window + (((<usize>sequence) & ((1 << F.WINDOW_BITS) - 1)) << 1)
  const round = ((sequence >> F.WINDOW_BITS) + 1) & 0xffff
  // Differences are taken modulo 2^16 and 2^32: sequence numbers wrap around.
  const newer = <i32>((round - <u32>load<u16>(slot)) << 16)
  if (newer <= 0) return newer === 0 ? F.BOOK_DUPLICATED : F.BOOK_LATE
  store<u16>(slot, round)
  if (load<u32>(frame, F.CHECK_WORD * 4) !== frameCheck(weights, frame, length)) return F.BOOK_CORRUPTED
  if (<i32>(sequence - load<u32>(expected)) < 0) add(book + F.BOOK_REORDERED, 1)
  else store<u32>(expected, sequence + 1)
  return F.BOOK_RECEIVED
}

function known(ledger: usize, generator: i32): bool {
  return generator >= 0 && generator < load<i32>(ledger + F.LEDGER_GENERATORS)
}

function add(counter: usize, amount: i32): void {
  store<f64>(counter, load<f64>(counter) + <f64>amount)
}

/** -1 if that is no generator. */
function decodeGenerator(byte: u32): i32 {
  return ((byte >> 4) ^ (byte & 0xf)) === 0xf ? <i32>(byte & 0xf) : -1
}

/**
 * frameCheck() of test-frame.ts: four words at a time, the last four overlap the ones before. The weights are read from memory, as
 * V8 puts constants of 16 bytes together anew each time.
 */
function frameCheck(weights: usize, frame: usize, length: i32): u32 {
  const sums = i32x4.add(
    i32x4.add(
      i32x4.mul(v128.load(frame), v128.load(weights)),
      i32x4.mul(v128.load(frame, 16), v128.load(weights, 16)),
    ),
    i32x4.add(
      i32x4.mul(v128.load(frame, 32), v128.load(weights, 32)),
      i32x4.mul(v128.and(v128.load(frame, 44), v128.load(weights, 64)), v128.load(weights, 48)),
    ),
  )
  const lower = <u64>i64x2.extract_lane(sums, 0)
  const upper = <u64>i64x2.extract_lane(sums, 1)
  const halves = <u32>lower + <u32>(lower >> 32) + <u32>upper + <u32>(upper >> 32)
  const sum = halves + length * F.LENGTH_WEIGHT
  return length === F.MIN_TEST_FRAME ? sum : sum + restCheck(frame, length)
}

/** What the bytes from 60 on add. */
function restCheck(frame: usize, length: i32): u32 {
  const end = frame + ((<usize>length) & ~3)
  let at = frame + F.MIN_TEST_FRAME
  let sum: u32 = 0
  let sumOfSums: u32 = 0
  for (; at + 12 < end; at += 16) {
    sum += load<u32>(at) * F.WEIGHT_0
    sum += load<u32>(at, 4) * F.WEIGHT_1
    sum += load<u32>(at, 8) * F.WEIGHT_2
    sum += load<u32>(at, 12) * F.WEIGHT_3
    sumOfSums += sum
  }
  for (; at < frame + <usize>length; at++) {
    sum += <u32>load<u8>(at) * F.WEIGHT_4
    sumOfSums += sum
  }
  return sum + sumOfSums * F.EVEN
}
