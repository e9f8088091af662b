/**
 * A dress rehearsal of an app.
 *
 * V8 runs a function interpreted first and compiles it once it has proved to be hot; the papers' JavaScript driver lost
 * packets meanwhile. So each worker runs its app on its rings before the cards know of them: the doorbells lead nowhere,
 * and a stand-in of each card, which its driver brings along, plays its part. Later the app goes on with the same rings, because machine code made for one ring is
 * of no use to another (see specialise.ts).
 */
import type { QueuePair, StandIn } from '../driver/queues.ts'
import { DataPlane, DataPort, type Rehearsal } from '../engine/data-plane.ts'
import type { AppSteps } from '../engine/app.ts'
import { Sleeper } from '../engine/sleeper.ts'
import { COUNTERS, OF_WORKER, type WorkerSpec } from '../engine/worker-spec.ts'
import { sleepMilliseconds } from '../linux/clock.ts'

/** Polls of the app, and after how many of them it pauses, for how many milliseconds: V8 compiles in threads of its own. */
const POLLS = 20_000
const PAUSE_EVERY = 10_000
const PAUSE = 20
/** From here to there nothing comes in, for long enough that a worker offers its CPU to others (engine/sleeper.ts). */
const REST_FROM = 5_000
const REST_UNTIL = 7_500
/** Polls with IXY_TS_REHEARSAL=0: enough to find an app's first mistakes before a card is touched. */
const FEW_POLLS = 200

/** Lets the drivers' stand-ins for the cards work between two polls. */
class StandIns implements Rehearsal {
  private readonly cards: readonly StandIn[]
  private readonly batchSize: number
  private readonly last = process.env['IXY_TS_REHEARSAL'] === '0' ? FEW_POLLS : POLLS
  private polls = 0

  constructor(pairs: readonly QueuePair[], batchSize: number) {
    this.cards = pairs.map((pair) => pair.rehearse())
    this.batchSize = batchSize
  }

  next(): boolean {
    // Full batches, smaller ones, and polls that find nothing: all three have to be compiled.
    const rests = this.polls >= REST_FROM && this.polls < REST_UNTIL
    const packets = rests ? 0 : [this.batchSize, this.batchSize, 3, 0][this.polls & 3]
    for (const card of this.cards) {
      card.transmit()
      card.receive(packets)
    }
    if (++this.polls % PAUSE_EVERY === 0) sleepMilliseconds(PAUSE)
    return this.polls < this.last
  }
}

/** Runs `steps` on a plane like the one `spec` describes. Afterwards memory and queues have to be started anew. */
export function warmUp(spec: WorkerSpec, pairs: readonly QueuePair[], steps: AppSteps): void {
  const counters = new SharedArrayBuffer((pairs.length * COUNTERS + OF_WORKER) * 8)
  const ports = pairs.map(({ rx, tx }) => new DataPort(rx, tx))
  const rehearsal = new StandIns(pairs, spec.batchSize)
  // In no other mode: that one would sleep until a card wakes it.
  const sleeper = new Sleeper(spec.ports, 'poll')
  // Its polls count, so that an app that doesn't come back is noticed; orders are for the run.
  new DataPlane({ control: spec.control, counters }, ports, steps, () => undefined, {
    rehearsal,
    sleeper,
  }).run()
}
