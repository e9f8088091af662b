import { TxBatch } from '../../driver/tx-batch.ts'
import type { App } from '../../engine/app.ts'
import { MonotonicClock } from '../../linux/monotonic.ts'
import { makeSieve, type Sieve } from '../sieve.ts'
import { COUNTERS, Fate } from './fates.ts'
import type { TunnelJob, TunnelOptions } from './job.ts'
import { CONTROL } from './leave.ts'
import { TunnelEnd } from './end.ts'
import { planTunnel } from './plan.ts'
import { MOST_WAITING } from './waiting.ts'

/**
 * Steps between two looks at the clock, less one: a mask. Of idle ones fewer, as a worker that sleeps (--mode interrupt) takes
 * few steps a second.
 */
const BUSY = 63
const IDLE = 7
const SECOND = 1000

/** Carries the packets of the second port in UDP over the first, and back. */
export const tunnel: App<TunnelOptions, TunnelJob> = {
  name: 'tunnel',
  ports: { min: 2, max: 2 },
  pools: 1,
  held: MOST_WAITING,
  counters: COUNTERS,
  plan: planTunnel,
  make(context, job) {
    const { ports, memory, batchSize, counters, rehearsal } = context
    const [outer, inner] = ports
    const most = 2 * batchSize + MOST_WAITING
    const [toOuter, toInner] = [new TxBatch(memory, outer.tx, most), new TxBatch(memory, inner.tx, most)]
    const end = new TunnelEnd(context, job, toOuter, toInner)
    const { enter, leave } = end
    const batch = memory.batch(batchSize)
    const { filter } = job
    const sieves = filter === null ? [] : ports.map((p) => makeSieve(filter, memory, p, batchSize, rehearsal))
    const [leaving, entering] = sieves as readonly (Sieve | undefined)[]
    const clock = new MonotonicClock()
    // A rehearsal is shorter than a second, and a step that has never come to the end of one would be compiled again in the run.
    let second = rehearsal ? 1 : SECOND
    let [steps, nextSecond] = [0, clock.now() + second]

    function fromOuter(): number {
      const count = outer.rx.receive(batch, Math.min(batchSize, inner.tx.room()))
      end.pretendOuter(batch, count)
      let out = 0
      for (let i = 0; i < count; i++) {
        const plain = end.plain.leave(batch, i, count)
        while (i < plain) batch[out++] = batch[i++]
        if (i < count && leaveOne(batch[i])) batch[out++] = batch[i]
      }
      if (leaving !== undefined) out = leaving.sift(batch, out)
      counters[Fate.decapsulated] += out
      for (let i = 0; i < out; i++) toInner.add(batch[i])
      return count
    }

    function leaveOne(id: number): boolean {
      const fate = leave(id)
      if (fate === Fate.decapsulated) return true
      end.keep(id, fate === CONTROL ? end.control(id) : fate)
      return false
    }

    function fromInner(): number {
      const received = inner.rx.receive(batch, Math.min(batchSize, outer.tx.room()))
      end.pretendInner(batch, received)
      const count = entering === undefined ? received : entering.sift(batch, end.answerAll(batch, received))
      for (let i = 0; i < count; i++) {
        const plain = end.plain.enter(batch, i, count)
        counters[Fate.encapsulated] += plain - i
        for (; i < plain; i++) toOuter.add(batch[i])
        if (i < count) enterOne(batch[i])
      }
      return received
    }

    function enterOne(id: number): void {
      const network = enter(id)
      if (network < 0) return end.refuse(id, -1 - network)
      if (!end.isReady(network)) return end.wait(id, network)
      counters[Fate.encapsulated]++
      toOuter.add(id)
    }

    return {
      step() {
        end.catchUp()
        const moved = fromOuter() + fromInner()
        steps = (steps + 1) & BUSY
        if ((steps & (moved === 0 ? IDLE : BUSY)) === 0 && clock.isPast(nextSecond)) {
          end.everySecond()
          nextSecond = clock.now() + second
        }
        counters[Fate.no_room_inner] += toInner.flush()
        counters[Fate.no_room_outer] += toOuter.flush()
        return moved
      },
      quiet: () => end.close(),
      reset: () => {
        second = SECOND
        nextSecond = clock.now() + second
        end.begin()
        for (const sieve of sieves) sieve.reset()
      },
    }
  },
}
