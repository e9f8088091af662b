import type { App, AppSteps, WorkerContext } from '../../engine/app.ts'
import { MonotonicClock } from '../../linux/monotonic.ts'
import { Board, COUNT, HALT, KEY, LANES, RATE, SENT_ALL, SIZE, TRIAL } from './board.ts'
import { Lane } from './lane.ts'
import type { Rfc2544Job, Rfc2544Options } from './options.ts'
import { planRfc2544 } from './plan.ts'

/** Keys of lanes differ in the byte that tells trials from each other, and in what the checks of frames are made of. */
const LANE_KEY = 2 ** 24 + 1
/** Never at its end, and at a rate that doesn't hold it up: no whole number, see packet/pacer.ts. */
const REHEARSED = { count: Number.MAX_SAFE_INTEGER, rate: 1e9 + 0.5, key: 1 }

/** Runs the trials that it is told, one after the other. */
export const rfc2544: App<Rfc2544Options, Rfc2544Job> = {
  name: 'rfc2544',
  ports: { min: 1, max: 2 },
  // A lane has its own, as a buffer keeps most of the frame that it has held.
  pools: 2,
  generates: true,
  plan: planRfc2544,
  make: makeRfc2544,
}

function makeRfc2544(context: WorkerContext, job: Rfc2544Job): AppSteps {
  const { ports, memory, pools, batchSize, rehearsal } = context
  const { words, order, lanes: counts, books } = new Board(job.board)
  const clock = new MonotonicClock()
  const received = memory.batch(batchSize)
  const lanes = job.lanes.map(
    ({ from }, i) => new Lane(ports[from], memory, pools[i], books[i], counts[i], batchSize),
  )
  /** What comes in at each port, and whose it is: null where no lane ends. */
  const arrivals = ports.map(({ rx: { receive } }, port) => {
    const at = job.lanes.findIndex(({ to }) => to === port)
    return { receive, lane: at < 0 ? null : lanes[at] }
  })
  let trial = 0
  let sending = false

  const begin = (): void => {
    trial = words[TRIAL]
    sending = true
    const now = clock.now()
    lanes.forEach((lane, i) => {
      const count = (order[LANES] & (1 << i)) === 0 ? 0 : order[COUNT]
      const plan = job.lanes[i].plans[order[SIZE]]
      lane.begin({ rate: order[RATE], count, plan, key: (order[KEY] + i * LANE_KEY) | 0 }, now)
    })
  }
  const rehearse = (): void => {
    sending = true
    lanes.forEach((lane, i) => lane.begin({ ...REHEARSED, plan: job.lanes[i].plans[0] }, clock.now()))
  }
  if (rehearsal) rehearse()

  return {
    step() {
      if (Atomics.load(words, TRIAL) !== trial && !rehearsal) begin()
      let moved = 0
      for (let i = 0; i < arrivals.length; i++) {
        const { receive, lane } = arrivals[i]
        const taken = receive(received, batchSize)
        if (taken === 0) continue
        if (lane !== null) {
          clock.read()
          lane.collect(received, taken, clock.last)
        }
        memory.free(received, 0, taken)
        moved += taken
      }
      if (!sending) return moved
      if (words[HALT] === trial) for (const lane of lanes) lane.halt()
      let done = true
      for (let i = 0; i < lanes.length; i++) {
        moved += lanes[i].send(clock)
        if (!lanes[i].isDone()) done = false
      }
      if (done) {
        sending = false
        Atomics.store(words, SENT_ALL, trial)
      }
      return moved
    },
    quiet() {
      for (const lane of lanes) lane.halt()
    },
  }
}
