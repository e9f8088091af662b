/** The worker's side of a run: the loop around an app's steps. */
import type { QueueSpec, RxQueue, TxQueue } from '../driver/device.ts'
import { attach } from '../driver/queue-registry.ts'
import { MonotonicClock } from '../linux/monotonic.ts'
import type { PacketMemory } from '../memory/packets.ts'
import type { AppSteps } from './app.ts'
import type { Sleeper } from './sleeper.ts'
import {
  BEAT,
  COMMAND,
  COMMAND_QUIET,
  COMMAND_RUN,
  COMMAND_SETTLE,
  COMMAND_STOP,
  COUNTERS,
  BAD_LENGTH,
  FILTERED_OUT,
  FIRST_MOVED,
  FRAGMENTS,
  LAST_MOVED,
  POLLS,
  POOL_EMPTY,
  RX_BYTES,
  RX_PACKETS,
  RX_UNTAKEN,
  STARTED,
  TX_BYTES,
  TX_PACKETS,
  TX_UNSENT,
  USEFUL_POLLS,
  type WorkerSpec,
} from './worker-spec.ts'

/** Polls between two updates of the published counters, less one: a mask. */
const PUBLISH_EVERY = 63
/** How long to wait at the end for the card to send what is in the rings, milliseconds. */
const DRAIN_DEADLINE = 200

/** One queue pair of one device. */
export class DataPort {
  readonly rx: RxQueue
  readonly tx: TxQueue
  /** Packets that were still in the transmit ring when the run ended. */
  txUnsent = 0
  /** Packets that were still in the receive ring. */
  rxUntaken = 0
  filteredOut = 0

  constructor(rx: RxQueue, tx: TxQueue) {
    this.rx = rx
    this.tx = tx
  }
}

/** Makes the queue pair's rings usable in this thread and arms the receive ring with buffers of `pool`. */
export function attachPort(spec: QueueSpec, memory: PacketMemory, pool: number): DataPort {
  const pair = attach(spec, memory, pool)
  pair.start()
  return new DataPort(pair.rx, pair.tx)
}

/** Plays the cards between two polls; false when the rehearsal is over. */
export interface Rehearsal {
  next(): boolean
}

/** Runs an app's steps in one worker: when to rest, when to stop, what to publish. */
export class DataPlane {
  private readonly ports: readonly DataPort[]
  private readonly steps: AppSteps
  private readonly control: Int32Array
  private readonly counters: Float64Array
  /** Polls so far, modulo 2^32. */
  private polls = 0
  /** At the last publication: polls, and those that had found nothing. */
  private pollsBefore = 0
  private idleBefore = 0
  private quiet = false
  /** The main thread has been told, or there is nothing to tell it. */
  private done = true
  private readonly clock = new MonotonicClock()
  /** Packets in and out at the last publication, in an array as in FrameSource. */
  private readonly before = new Float64Array(1)
  /** Assigned twice, so that to V8 it isn't always an object: in a run it is none. */
  private readonly rehearsal: Rehearsal | null = null
  private readonly sleeper: Sleeper | null
  private readonly finished: () => void

  /**
   * `finished` tells the main thread that the app is done; it is called once. `rehearsal` stands in for the cards and the main
   * thread, see warm-up.ts. Without `sleeper` it never rests.
   */
  constructor(
    spec: Pick<WorkerSpec, 'control' | 'counters'>,
    ports: readonly DataPort[],
    steps: AppSteps,
    finished: () => void,
    { rehearsal = null, sleeper = null }: { rehearsal?: Rehearsal | null; sleeper?: Sleeper | null } = {},
  ) {
    this.finished = finished
    this.rehearsal = rehearsal
    this.done = steps.done === undefined
    this.sleeper = sleeper
    this.ports = ports
    this.steps = steps
    this.control = new Int32Array(spec.control)
    this.counters = new Float64Array(spec.counters)
  }

  /** Steps until the run is to end; then until nothing moves any more. */
  run(): void {
    const { steps } = this
    steps.begin?.(new Float64Array(this.control.buffer)[STARTED])
    for (let order = COMMAND_RUN; order !== COMMAND_STOP; order = this.nextOrder()) {
      this.awaitFirst(order)
      this.go(steps, order)
    }
    this.beQuiet()
    this.drain()
  }

  private nextOrder(): number {
    // Orders are for the run.
    const order = this.rehearsal === null ? Atomics.load(this.control, COMMAND) : COMMAND_STOP
    if (order === COMMAND_QUIET || order === COMMAND_SETTLE) this.beQuiet()
    if (order === COMMAND_SETTLE) this.sleeper?.beLazy()
    return order
  }

  /**
   * By itself: what comes before or behind a loop that V8 has replaced while it ran is not known to it, and reaching it throws away the
   * code.
   */
  private go(steps: AppSteps, order: number): void {
    while (this.running(order)) this.rest(steps.step())
  }

  /**
   * Steps until packets have moved, and notes when that began: before the step that moved the first of them. The next
   * publication may be thousands of packets later, and an average from then on would have them in no time.
   */
  private awaitFirst(order: number): void {
    const { clock, counters, ports, steps } = this
    if (ports.some(hasMoved)) return
    const began = new Float64Array(1)
    while (!ports.some(hasMoved) && this.running(order)) {
      clock.write(began, 0)
      this.rest(steps.step())
    }
    if (ports.some(hasMoved)) counters[ports.length * COUNTERS + FIRST_MOVED] = began[0]
  }

  /**
   * Asked once per poll: false as soon as the order is another. Publishes the counters now and then. What comes with another order is not
   * looked at here, as what V8 has not seen when it compiles this would throw the code away, while packets still come.
   */
  private running(order: number): boolean {
    const polls = (this.polls + 1) | 0
    this.control[BEAT] = polls
    if ((polls & PUBLISH_EVERY) === 0) this.publish()
    this.polls = polls
    // Asked in a rehearsal too, so that the code compiled there fits the real run.
    if (Atomics.load(this.control, COMMAND) === order) return true
    return this.rehearsal !== null && this.rehearsal.next()
  }

  private beQuiet(): void {
    if (!this.quiet) this.steps.quiet?.()
    this.quiet = true
  }

  /** Called once per poll with the number of packets moved by it: lets the worker rest when there is nothing to do. */
  private rest(moved: number): void {
    if (this.sleeper === null) return
    if (moved > 0) this.sleeper.busy()
    else this.sleeper.idle(this.pending, this.beforeSleep)
  }

  /**
   * Steps on until that moves nothing more and the card has sent what the rings hold. What it doesn't send in time is
   * counted.
   */
  private drain(): void {
    const deadline = performance.now() + DRAIN_DEADLINE
    let pending = 1
    while (pending > 0 && performance.now() < deadline) {
      this.control[BEAT]++
      pending = this.steps.step() + this.pending()
    }
    for (const port of this.ports) {
      port.txUnsent = port.tx.pending()
      port.rxUntaken = port.rx.untaken()
    }
    this.publish()
  }

  private readonly beforeSleep = (): void => this.publish()

  private readonly pending = (): number => {
    let sum = 0
    for (const port of this.ports) sum += port.tx.pending()
    return sum
  }

  /** A method: a function of each plane's own would be another call target than the one rehearsed. */
  private publish(): void {
    const { counters, ports, before } = this
    let packets = 0
    for (let i = 0; i < ports.length; i++) {
      const { rx, tx, txUnsent, rxUntaken, filteredOut } = ports[i]
      const base = i * COUNTERS
      counters[base + RX_PACKETS] = rx.packets
      counters[base + RX_BYTES] = rx.bytes
      counters[base + TX_PACKETS] = tx.packets
      counters[base + TX_BYTES] = tx.bytes
      counters[base + POOL_EMPTY] = rx.poolEmpty
      counters[base + FRAGMENTS] = rx.fragments
      counters[base + BAD_LENGTH] = rx.badLength
      counters[base + TX_UNSENT] = txUnsent
      counters[base + RX_UNTAKEN] = rxUntaken
      counters[base + FILTERED_OUT] = filteredOut
      packets += rx.packets + tx.packets
    }
    if (!this.done && this.steps.done?.() === true) {
      this.done = true
      this.finished()
    }
    const ofWorker = ports.length * COUNTERS
    const polls = (this.polls - this.pollsBefore) >>> 0
    const idle = this.sleeper === null ? 0 : (this.sleeper.idlePolls - this.idleBefore) >>> 0
    counters[ofWorker + POLLS] += polls
    counters[ofWorker + USEFUL_POLLS] += polls - idle
    this.pollsBefore = this.polls
    if (this.sleeper !== null) this.idleBefore = this.sleeper.idlePolls
    if (packets === before[0]) return
    before[0] = packets
    this.clock.write(counters, ofWorker + LAST_MOVED)
  }
}

const hasMoved = ({ rx, tx }: DataPort): boolean => rx.packets + tx.packets > 0
