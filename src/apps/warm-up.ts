/**
 * A dress rehearsal of an app.
 *
 * V8 runs a function interpreted first and compiles it once it has proved to be hot; the papers' JavaScript driver lost
 * packets meanwhile. So each worker runs its app on its rings before the cards know of them: the doorbells lead nowhere,
 * and a stand-in of each card, which its driver brings along, plays its part. Later the app goes on with the same rings, because machine code made for one ring is
 * of no use to another (see specialise.ts).
 *
 * Where V8 has compiled a loop, what it meets there for the first time throws the code away, and the loop is interpreted until it is compiled
 * anew. So a rehearsal takes all ways that a run may take, also those that it takes but once in minutes, or when it ends.
 */
import type { QueuePair, StandIn } from '../driver/queues.ts'
import { DataPlane, DataPort, type Rehearsal } from '../engine/data-plane.ts'
import type { AppSteps } from '../engine/app.ts'
import { Sleeper } from '../engine/sleeper.ts'
import { COUNTERS, OF_WORKER, type WorkerSpec } from '../engine/worker-spec.ts'
import { sleepMilliseconds } from '../linux/clock.ts'
import { StandInWaits } from './stand-in-waits.ts'

/** Polls of the app. */
const POLLS = 20_000
/** The last of each so many find nothing, long enough for whatever a worker does then (engine/sleeper.ts). */
const ROUND = 1000
const REST = 64
/** What it waits for is rehearsed before: every so many rounds are enough for that a loop knows it. */
const REST_EVERY = 4
/** After how many rounds it pauses, for how many milliseconds: V8 compiles in threads of its own. */
const PAUSE_EVERY = 10
const PAUSE = 20
/** Polls with IXY_TS_REHEARSAL=0: enough to find an app's first mistakes before a card is touched. */
const FEW_POLLS = 200

/** Lets the drivers' stand-ins for the cards work between two polls. */
class StandIns implements Rehearsal {
  private readonly cards: readonly StandIn[]
  private readonly batchSize: number
  private readonly waits: StandInWaits
  private readonly sleeper: Sleeper
  private readonly last = process.env['IXY_TS_REHEARSAL'] === '0' ? FEW_POLLS : POLLS
  private polls = 0
  private idlePolls = 0

  constructor(pairs: readonly QueuePair[], batchSize: number, waits: StandInWaits, sleeper: Sleeper) {
    this.cards = pairs.map((pair) => pair.rehearse())
    this.batchSize = batchSize
    this.waits = waits
    this.sleeper = sleeper
  }

  next(): boolean {
    const { polls, last } = this
    // Full batches, smaller ones, and polls that find nothing: all three have to be compiled.
    const round = Math.floor(polls / ROUND)
    const rests = round % REST_EVERY === 0 && polls % ROUND >= ROUND - REST
    const packets = rests ? 0 : [this.batchSize, this.batchSize, 3, 0][polls & 3]
    for (const card of this.cards) {
      card.transmit()
      card.receive(packets)
    }
    // Whoever finds something has nothing to wait for.
    if (rests && this.idlePolls !== this.sleeper.idlePolls) this.waits.play(round / REST_EVERY)
    this.idlePolls = this.sleeper.idlePolls
    this.polls = polls + 1
    if (this.polls % ROUND === 0) sleepMilliseconds((round + 1) % PAUSE_EVERY === 0 ? PAUSE : 0)
    return this.polls < last
  }
}

/** Runs `steps` on a plane like the one `spec` describes. Afterwards memory and queues have to be started anew. */
export function warmUp(spec: WorkerSpec, pairs: readonly QueuePair[], steps: AppSteps): void {
  const counters = new SharedArrayBuffer((pairs.length * COUNTERS + OF_WORKER) * 8)
  const ports = pairs.map(({ rx, tx }) => new DataPort(rx, tx))
  // Written when a rehearsal is over, too: V8 is not to learn only then that they change.
  for (const port of ports) port.txUnsent = port.rxUntaken = port.filteredOut = 0
  const waits = new StandInWaits(spec.ports)
  try {
    if (process.env['IXY_TS_REHEARSAL'] !== '0') waits.rehearse(spec.mode)
    const sleeper = new Sleeper(waits.queues, spec.mode, true)
    const rehearsal = new StandIns(pairs, spec.batchSize, waits, sleeper)
    // Its polls count, so that an app that doesn't come back is noticed.
    new DataPlane({ control: spec.control, counters }, ports, steps, () => undefined, {
      rehearsal,
      sleeper,
    }).run()
  } finally {
    waits.close()
  }
}
