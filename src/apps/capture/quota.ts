/** So many packets and no more, whichever worker gets them. */

/** What Atomics hold. */
export const MOST = 0x7fff_ffff

export class Quota {
  /** Of its one slot: packets that may still be taken. */
  private readonly left: Int32Array

  static allocate(packets: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(4)
    new Int32Array(memory)[0] = packets
    return memory
  }

  constructor(memory: SharedArrayBuffer) {
    this.left = new Int32Array(memory)
  }

  /** Takes up to `packets`, returns how many. Once per batch, not per packet. */
  take(packets: number): number {
    const before = Atomics.sub(this.left, 0, packets)
    if (before >= packets) return packets
    const granted = before > 0 ? before : 0
    Atomics.add(this.left, 0, packets - granted)
    return granted
  }

  giveBack(packets: number): void {
    Atomics.add(this.left, 0, packets)
  }

  get usedUp(): boolean {
    return Atomics.load(this.left, 0) <= 0
  }
}
