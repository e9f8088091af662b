/**
 * The stores that hand a descriptor back to the host.
 *
 * Everything written before them must be visible first: x86 keeps stores in order and V8 does not move a typed array's
 * store across another's, so plain ones do; other machines get releasing stores, which cost a call per descriptor.
 */
/** This machine may make later stores visible before earlier ones. */
export const REORDERS = process.arch !== 'x64' && process.arch !== 'ia32'

export function store(words: Uint32Array, index: number, value: number): void {
  if (REORDERS) Atomics.store(words, index, value)
  else words[index] = value
}

/** A ring's memory in words of 64 bits. */
export class Pairs {
  private readonly numbers: Float64Array
  private readonly bigs: BigUint64Array

  /** Words of 32 bits from `first` on, which is even, `count` pairs of them. */
  constructor(words: Uint32Array, first: number, count: number) {
    const at = words.byteOffset + first * 4
    this.numbers = new Float64Array(words.buffer, at, count)
    this.bigs = new BigUint64Array(words.buffer, at, count)
  }

  /**
   * Stores both halves at once. The card writes a descriptor in one piece, and hosts rely on it: one polls the length and
   * then reads the status, another polls the status and then reads the length. Of what JavaScript stores in one piece,
   * only numbers and BigInts have 64 bits, and a BigInt is an object. So the halves are put together as a number. Its value
   * doesn't matter, it comes out as it went in; except not-a-number, of which V8 may keep one pattern only. Those, with VLAN
   * tags of 0x7ff0 to 0x7fff and from 0xfff0 on in the upper half, go as BigInts.
   */
  store(index: number, low: number, high: number): void {
    HALVES[0] = low
    HALVES[1] = high
    if (REORDERS) Atomics.store(this.bigs, index, BIG[0])
    else if ((high & EXPONENT) === EXPONENT) this.bigs[index] = BIG[0]
    else this.numbers[index] = NUMBER[0]
  }
}

const HALVES = new Uint32Array(2)
const NUMBER = new Float64Array(HALVES.buffer)
const BIG = new BigUint64Array(HALVES.buffer)
/** All ones in the upper half: not-a-number, or infinity. */
const EXPONENT = 0x7ff00000
