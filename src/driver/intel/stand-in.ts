/** A card of a few lines: what it does with descriptors, and nothing else. */
import type { StandIn } from '../queues.ts'
import { RX_DD, RX_EOP, TX_DD, TX_RS } from './descriptors.ts'

/** Once in so many packets a part of one comes in, which is dropped. */
const FRAGMENT_EVERY = 1009
const FRAME = 60

/**
 * Owns the descriptors from head to tail of both rings, as the datasheet has it (82599 §7.1.9, §7.2.3.3), writes back and
 * moves on. Rehearsals and the rings' tests work against it. The benchmark has one in C (bench/c/nic.c): it plays the card for
 * drivers in C as well, and its own time is not to be measured.
 */
export class StandInCard implements StandIn {
  /** What stands for RDT and TDT, in this order. */
  readonly tails = new Int32Array(2)
  private readonly rx: Uint32Array
  private readonly tx: Uint32Array
  private rdh = 0
  private tdh = 0
  private received = 0

  /** The descriptors of both rings; each one's number is a power of two. */
  constructor(rx: ArrayBufferLike, tx: ArrayBufferLike) {
    this.rx = new Uint32Array(rx)
    this.tx = new Uint32Array(tx)
  }

  receive(packets: number): void {
    for (; packets > 0 && this.armed > 0; packets--) {
      const part = ++this.received % FRAGMENT_EVERY === 0
      this.writeBack(FRAME, part ? RX_DD : RX_DD | RX_EOP)
    }
  }

  transmit(): void {
    while (this.waiting > 0) this.send()
  }

  /** Receive descriptors that belong to the card. */
  get armed(): number {
    return (this.tails[0] - this.rdh) & ((this.rx.length >> 2) - 1)
  }

  /** The next receive descriptor is done; returns the address in it. One must be armed. */
  writeBack(length: number, status: number): number {
    const { rx } = this
    const word = this.rdh << 2
    const address = rx[word] + rx[word + 1] * 2 ** 32
    rx[word] = 0
    rx[word + 1] = 0
    rx[word + 3] = length
    rx[word + 2] = status
    this.rdh = (this.rdh + 1) & ((rx.length >> 2) - 1)
    return address
  }

  /** Transmit descriptors that belong to the card. */
  get waiting(): number {
    return (this.tails[1] - this.tdh) & ((this.tx.length >> 2) - 1)
  }

  /** The next transmit descriptor is done; returns the index of its first word. One must be waiting. */
  send(): number {
    const { tx } = this
    const word = this.tdh << 2
    if ((tx[word + 2] & TX_RS) !== 0) tx[word + 3] |= TX_DD
    this.tdh = (this.tdh + 1) & ((tx.length >> 2) - 1)
    return word
  }
}
