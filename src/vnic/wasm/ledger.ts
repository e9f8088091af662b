/** The books of the generated traffic, explained in ../wires/ledger.ts and ../wires/test-frame.ts. */
import * as F from '../wires/test-frame-layout'

/**
 * Books the frames of a burst in the ledger at `ledger`; returns how many were sent by none of its generators. Books are
 * as long as the window, behind BOOK_FLOWS and 4 bytes for each of `flows` flows.
 */
export function receive(ledger: usize, flows: i32, offsets: usize, lengths: usize, count: i32): i32 {
  let foreign: i32 = 0
  for (const end = offsets + ((<usize>count) << 2); offsets < end; offsets += 4, lengths += 4) {
    if (!receiveOne(ledger, flows, load<u32>(offsets), load<i32>(lengths))) foreign++
  }
  return foreign
}

function receiveOne(ledger: usize, flows: i32, frame: usize, length: i32): bool {
  if (
    length < F.MIN_TEST_FRAME ||
    load<u32>(frame + F.MAGIC_WORD * 4) !== F.MAGIC ||
    load<u16>(frame + F.NONCE) !== load<u32>(ledger)
  )
    return false
  const owner = load<u32>(frame + F.OWNER_WORD * 4)
  const generator = decodeGenerator((owner >> 8) & 0xff)
  const flow = owner >> 16
  if (!known(ledger, generator) || <i32>flow >= flows) return false

  const book: usize = load<u32>(ledger + F.LEDGER_BOOKS + ((<usize>generator) << 2))
  const sequence = load<u32>(frame + F.SEQUENCE_WORD * 4)
  const expected = book + F.BOOK_FLOWS + ((<usize>flow) << 2)
  const window = book + F.BOOK_FLOWS + ((<usize>flows) << 2)
  const slot = window + (((<usize>sequence) & ((1 << F.WINDOW_BITS) - 1)) << 1)
  const round = ((sequence >> F.WINDOW_BITS) + 1) & 0xffff
  // Differences are taken modulo 2^16 and 2^32: sequence numbers wrap around.
  const newer = <i32>((round - <u32>load<u16>(slot)) << 16)
  if (newer <= 0) {
    add(book + (newer === 0 ? F.BOOK_DUPLICATED : F.BOOK_LATE))
    return true
  }
  store<u16>(slot, round)
  if (load<u32>(frame + F.CHECK_WORD * 4) !== frameCheck(frame, length)) {
    add(book + F.BOOK_CORRUPTED)
    return true
  }
  add(book + F.BOOK_RECEIVED)
  if (<i32>(sequence - load<u32>(expected)) < 0) add(book + F.BOOK_REORDERED)
  else store<u32>(expected, sequence + 1)
  return true
}

function known(ledger: usize, generator: i32): bool {
  return generator >= 0 && generator < load<i32>(ledger + F.LEDGER_GENERATORS)
}

function add(counter: usize): void {
  store<f64>(counter, load<f64>(counter) + 1)
}

/** -1 if that is no generator. */
function decodeGenerator(byte: u32): i32 {
  return ((byte >> 4) ^ (byte & 0xf)) === 0xf ? <i32>(byte & 0xf) : -1
}

/** frameCheck() of test-frame.ts: four words at a time, the last four overlap the ones before. */
function frameCheck(frame: usize, length: i32): u32 {
  const sums = i32x4.add(
    i32x4.add(
      i32x4.mul(v128.load(frame), i32x4(F.WEIGHT_0, F.WEIGHT_1, F.WEIGHT_2, F.WEIGHT_3)),
      i32x4.mul(v128.load(frame, 16), i32x4(F.WEIGHT_4, F.WEIGHT_5, F.WEIGHT_6, F.WEIGHT_7)),
    ),
    i32x4.add(
      i32x4.mul(
        v128.load(frame, 32),
        i32x4(F.SOURCE_PORT_WEIGHT, F.WEIGHT_9, F.NONCE_WEIGHT, F.MAGIC_WEIGHT),
      ),
      i32x4.mul(
        v128.and(v128.load(frame, 44), i32x4(0, F.NOT_TOUCHED, 0, -1)),
        i32x4(0, F.OWNER_WEIGHT, 0, F.SEQUENCE_WEIGHT),
      ),
    ),
  )
  const sum =
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3) +
    length * F.LENGTH_WEIGHT
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
