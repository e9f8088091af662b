/** Repeatable random numbers: Marsaglia's xorshift with 32 bits of state. Good enough to decide the fate of frames. */
export class Random {
  private state: number

  constructor(seed: number) {
    // Small seeds differ in few bits: spread them. A state of 0 would stay 0.
    this.state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) || 1
    for (let i = 0; i < 8; i++) this.next()
  }

  /** 0 to 2^32 - 1, 0 excluded. */
  next(): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x
    return x >>> 0
  }

  /** True with a probability of `threshold` / 2^32. */
  chance(threshold: number): boolean {
    return this.next() <= threshold
  }

  /** 0 to `limit` - 1, for limits far below 2^32. */
  below(limit: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * limit)
  }
}
