/** The end of a run: what is under way comes out before anything is taken apart. */
import { setTimeout } from 'node:timers/promises'
import type { Crew } from './crew.ts'
import { DEADLINES, DRAIN_DEADLINE, type Ending } from './ending.ts'
import type { Session } from './session.ts'
import { sleep } from './wait.ts'
import type { Workload } from './workload.ts'

/** Milliseconds for packets that are still to come back by way of a device whose sources aren't ours to stop. */
const UNDER_WAY = 500
/** The same for packets that the app has sent and waits for (Plan.underWay): RFC 2544 §23 has two seconds. */
const RESIDUAL = 2_000
/** Milliseconds between two looks at how many those are. */
const LOOK_EVERY = 5

interface Parts {
  readonly session: Session
  readonly crew: Crew
  readonly workload: Workload
  readonly ending: Ending
}

/**
 * Lets what is under way come out: first apps and wires stop sending, then the cards stop receiving. Returns when the run
 * was over, on the clock of performance.now(), if that is later than it began to end: what others send has been counted until then. Rejects when a
 * device or a worker is gone.
 */
export async function windDown({ session, crew, workload, ending }: Parts): Promise<number | null> {
  const { devices, virtual, virtualIndexes } = session
  let end: number | null = null
  session.assertAlive()
  if (!session.closed && workload.underWay() > 0) {
    // Still with all haste: how long each of them takes is measured.
    crew.quiet(false)
    end = await Promise.race([untilBack(workload, ending), crew.failed])
    session.assertAlive()
  }
  crew.quiet(virtualIndexes.length === devices.length)
  if (virtual !== null) {
    const settled = virtual.quiesce(() => ending.late(DEADLINES.settled))
    end = (await settle(session, Promise.race([settled, crew.failed]))) ?? end
  }
  for (const device of devices) device.stopReceiving()
  await crew.stop(ending.left(DEADLINES.drained, DRAIN_DEADLINE))
  await virtual?.flush(() => ending.late(DEADLINES.flushed))
  return end
}

/** Waits for what the app has sent and what is still to come back. Returns when the last of it came, null if nothing has. */
async function untilBack(workload: Workload, ending: Ending): Promise<number | null> {
  const begin = performance.now()
  let end: number | null = null
  let underWay = workload.underWay()
  while (underWay > 0) {
    const now = performance.now()
    const left = Math.min(begin + RESIDUAL - now, ending.left(DEADLINES.back, RESIDUAL))
    if (left <= 0) return end
    await setTimeout(Math.min(LOOK_EVERY, left))
    const still = workload.underWay()
    if (still < underWay) end = performance.now()
    underWay = still
  }
  return end
}

/** Waits until nothing moves any more in the virtual cards, which `settled` tells. */
async function settle(
  { devices, virtualIndexes }: Session,
  settled: Promise<unknown>,
): Promise<number | null> {
  const rest = new AbortController()
  const still = settled.finally(() => rest.abort())
  const others = devices.filter((_, index) => !virtualIndexes.includes(index))
  let end: number | null = null
  if (others.length > 0) {
    await Promise.race([still, sleep(UNDER_WAY, rest.signal)])
    // What others send may never end.
    if (!rest.signal.aborted) end = performance.now()
    for (const device of others) device.stopReceiving()
  }
  await still
  return end
}
