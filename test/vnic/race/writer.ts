/**
 * The guest of race.ts, in a thread of its own: it rewrites descriptors, frames and tails of memory it shares, while the card
 * reads them. It writes what a driver could write, and what none would.
 */
import { workerData } from 'node:worker_threads'
import { mmap, viewOf } from '../../../src/linux/mapping.ts'
import type { Guest } from './race.ts'

const { layout, memoryFd, memoryBytes, doorbellFd, control, seed } = workerData as Guest

const memory = viewOf(mmap(memoryBytes, { fd: memoryFd }), memoryBytes)
const words = new Uint32Array(memory)
const bytes = new Uint8Array(memory)
const doorbells = (offset: number): Uint32Array =>
  new Uint32Array(viewOf(mmap(4096, { fd: doorbellFd, offset }), 4096))
const rx = doorbells(0x1000)
const tx = doorbells(0x6000)
const state = new Int32Array(control)

let x = seed >>> 0 || 1
function random(below: number): number {
  x ^= x << 13
  x ^= x >>> 17
  x ^= x << 5
  return (x >>> 0) % below
}
const pick = <T>(list: readonly T[]): T => list[random(list.length)]

const { base, txRing, rxRing, entries, buffers, bufferBytes, bufferCount } = layout
/** DTYP, DCMD of advanced and legacy descriptors: simple, with context, segmented, legacy, of a reserved type. */
const COMMANDS = [
  0x2b300000, 0x2b300000, 0x23300000, 0xab300000, 0x2a300000, 0x6b300000, 0x20200000, 0x0b000000, 0x2b100000,
  0x0f180000,
]
const LENGTHS = [60, 60, 60, 60, 60, 61, 64, 98, 590, 1514]
const RARE_LENGTHS = [2048, 0, 17, 16384, 65535]

function aBuffer(length: number): number {
  // Mostly where it ends with the shared memory or with its own buffer; now and then beyond.
  const n = random(16)
  if (n === 0) return random(2 ** 32)
  if (n === 1) return memoryBytes - random(128)
  if (n < 9) return memoryBytes - length
  return buffers + random(bufferCount) * bufferBytes + random(4)
}

const actions = [
  function transmitDescriptor(): void {
    const word = (txRing >> 2) + random(entries) * 4
    const length = pick(random(16) === 0 ? RARE_LENGTHS : LENGTHS)
    const address = aBuffer(length) + base
    words[word] = address % 2 ** 32
    words[word + 1] = random(64) === 0 ? random(2 ** 32) : Math.floor(address / 2 ** 32)
    words[word + 2] = (pick(COMMANDS) | length) >>> 0
    words[word + 3] = random(4) === 0 ? random(2 ** 32) : (length << 14) | (random(4) << 8)
  },
  function context(): void {
    const word = (txRing >> 2) + random(entries) * 4
    words[word] = (random(2 ** 16) << 16) | (14 << 9) | pick([20, 40, 0, 511])
    words[word + 1] = 0
    words[word + 2] = 0x20200000 | (random(8) << 10)
    words[word + 3] = (pick(random(64) === 0 ? [0, 1, 65535] : [536, 1448]) << 16) | (pick([8, 20, 255]) << 8)
  },
  function receiveDescriptor(): void {
    const word = (rxRing >> 2) + random(entries) * 4
    const address = base + aBuffer(2048)
    words[word] = address % 2 ** 32
    words[word + 1] = random(64) === 0 ? random(2 ** 32) : Math.floor(address / 2 ** 32)
    words[word + 2] = 0
    words[word + 3] = 0
  },
  function tails(): void {
    rx[0x18 >> 2] = random(8) === 0 ? random(2 ** 32) : random(entries)
    tx[0x18 >> 2] = random(8) === 0 ? random(2 ** 32) : random(entries)
  },
  function ringRegisters(): void {
    // Only by memory: messages would be masked and reported.
    if (random(64) !== 0) return
    const page = pick([rx, tx])
    const ring = page === rx ? rxRing : txRing
    page[0] = pick([
      ring + (base % 2 ** 32),
      ring + (base % 2 ** 32),
      random(2 ** 32),
      ring + (base % 2 ** 32) + random(64) * 4,
    ])
    page[2] = pick([entries * 16, entries * 16, random(2 ** 32), 0xffffff80])
  },
]

/** The last frame of the memory, which the card reads most: the fields that say how long things are. */
function frameHeader(at: number): void {
  bytes[at + 12] = pick([0x08, 0x08, 0x86, 0x81, 0x88])
  bytes[at + 13] = pick([0x00, 0x00, 0xdd, 0x00, 0x08])
  bytes[at + 14] = pick([0x45, 0x4f, 0x60, 0x40])
  bytes[at + 16] = 0
  bytes[at + 17] = pick([46, 40, 20, 255])
  bytes[at + 20] = pick([0, 0, 6, 17])
  bytes[at + 23] = pick([17, 6, 132, 44])
}

for (let i = 0; Atomics.load(state, 0) === 0; i++) {
  for (let n = 0; n < 64; n++) {
    // Between two states that are right, each for itself, as fast as can be.
    const at = memoryBytes - 60
    bytes[at + 14] = (n & 1) === 0 ? 0x4f : 0x45
    if (n % 4 === 0) pick(actions)()
    if (n % 16 === 0) frameHeader(random(2) === 0 ? at : buffers + random(bufferCount) * bufferBytes)
  }
  Atomics.add(state, 1, 64)
}
