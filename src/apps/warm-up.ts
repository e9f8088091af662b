/**
 * A dress rehearsal of an app.
 *
 * V8 runs a function interpreted first and compiles it once it has proved to be hot; the papers' JavaScript driver lost
 * packets meanwhile. So each worker runs its app on its rings before the cards know of them: the doorbells lead nowhere,
 * and this file plays the cards. Later the app goes on with the same rings, because machine code made for one ring is
 * of no use to another (see specialise.ts).
 */
import { RX_DD, RX_EOP, TX_DD, TX_RS } from '../driver/ixgbe/descriptors.ts'
import type { RingPair } from '../driver/ixgbe/ring-pair.ts'
import { DataPlane, DataPort, type Rehearsal } from '../engine/data-plane.ts'
import type { AppSteps } from '../engine/app.ts'
import { COUNTERS, MOMENTS, type WorkerSpec } from '../engine/worker-spec.ts'
import { sleepMilliseconds } from '../linux/clock.ts'

/** Polls of the app, and after how many of them it pauses, for how many milliseconds: V8 compiles in threads of its own. */
const POLLS = 20_000
const PAUSE_EVERY = 10_000
const PAUSE = 20
/** Once in so many packets a part of one comes in, which is dropped. */
const FRAGMENT_EVERY = 1009
const FRAME = 60

/** One card: between two polls it sends what is in the transmit ring and receives packets of 60 bytes. */
class PretendedCard {
  private readonly tails = new Int32Array(2)
  private readonly rx: Uint32Array
  private readonly tx: Uint32Array
  private rdh = 0
  private tdh = 0
  private received = 0

  constructor(rings: RingPair) {
    this.rx = new Uint32Array(rings.rxDescriptors)
    this.tx = new Uint32Array(rings.txDescriptors)
    rings.rehearse(this.tails)
  }

  receive(packets: number): void {
    const { rx } = this
    const mask = (rx.length >> 2) - 1
    for (; packets > 0 && this.rdh !== this.tails[0]; packets--) {
      const word = this.rdh << 2
      rx[word + 3] = FRAME
      rx[word + 2] = ++this.received % FRAGMENT_EVERY === 0 ? RX_DD : RX_DD | RX_EOP
      this.rdh = (this.rdh + 1) & mask
    }
  }

  transmit(): void {
    const { tx } = this
    const mask = (tx.length >> 2) - 1
    for (; this.tdh !== this.tails[1]; this.tdh = (this.tdh + 1) & mask) {
      const word = this.tdh << 2
      if ((tx[word + 2] & TX_RS) !== 0) tx[word + 3] |= TX_DD
    }
  }
}

class PretendedCards implements Rehearsal {
  private readonly cards: PretendedCard[]
  private readonly batchSize: number
  private polls = 0

  constructor(rings: readonly RingPair[], batchSize: number) {
    this.cards = rings.map((pair) => new PretendedCard(pair))
    this.batchSize = batchSize
  }

  next(): boolean {
    // Full batches, smaller ones, and polls that find nothing: all three have to be compiled.
    const packets = [this.batchSize, this.batchSize, 3, 0][this.polls & 3]
    for (const card of this.cards) {
      card.transmit()
      card.receive(packets)
    }
    if (++this.polls % PAUSE_EVERY === 0) sleepMilliseconds(PAUSE)
    return this.polls < POLLS
  }
}

/** Runs `steps` on a plane like the one `spec` describes. Afterwards memory and rings have to be started anew. */
export function warmUp(spec: WorkerSpec, rings: readonly RingPair[], steps: AppSteps): void {
  const counters = new SharedArrayBuffer((rings.length * COUNTERS + MOMENTS) * 8)
  const ports = rings.map(({ rx, tx }) => new DataPort(rx, tx))
  const rehearsal = new PretendedCards(rings, spec.batchSize)
  // Its polls count, so that an app that doesn't come back is noticed; orders are for the run.
  new DataPlane({ control: spec.control, counters }, ports, steps, () => undefined, { rehearsal }).run()
}
