/** What of a run was lost: the verdict behind `--expect-loss`. */
import { framesOf } from '../vnic/wires/account.ts'
import { type Balance, type Passage, type PortCounts, passesOf } from './balance.ts'
import { sum } from '../sum.ts'

export interface LossVerdict {
  /** False if nobody here can know; then the numbers are what is known. */
  readonly judged: boolean
  /** Why it isn't judged, '' if it is. */
  readonly reason: string
  /** Frames that have not arrived, by any name; at most so many where there are copies and frames aren't known one by one. */
  readonly lost: number
  /** Frames that have arrived changed; at most so many where they aren't known one by one. */
  readonly corrupted: number
  /** Frames that were offered. */
  readonly of: number
  /** Frames whose fate nobody has counted: a defect. */
  readonly unaccounted: number
  /** The frames are known one by one, by sequence number: a copy can't stand for an original. */
  readonly bySequence: boolean
}

/** Where nothing is known, or nothing was sent. */
export const NO_LOSS = { lost: 0, corrupted: 0, of: 0, unaccounted: 0, bySequence: false }

/** The fate of each frame that is generated at `near` is known at `far`, or where a loop there sends it. */
function isChecked(near: PortCounts, far: PortCounts): boolean {
  const end = far.nic?.account
  if (end === undefined) return false
  if (end.out.books) return true
  // A loop: the frames come back to where they were sent.
  return end.in.returned > 0 && near.nic?.account.out.books === true
}

/** For each port, whether what its generators have sent is checked by sequence number where all of it comes out. */
export function checkedGenerators(app: Passage, ports: readonly PortCounts[]): boolean[] {
  const passes = passesOf(app, ports.length)
  // What a filter has held back is missing among the numbers, and is not lost.
  if (passes.some(([from]) => ports[from].worker.filteredOut > 0)) return ports.map(() => false)
  return ports.map((port, i) => passes.some(([from, to]) => from === i && isChecked(port, ports[to])))
}

/**
 * Where generators have sent everything, and all of it is checked where it comes out, loss is known frame by frame. Elsewhere
 * every frame that is missing counts, a copy made by a fault like an original: nobody can tell them apart.
 */
export function lossOf(
  app: Passage,
  ports: readonly PortCounts[],
  balances: readonly Balance[],
): Omit<LossVerdict, 'judged' | 'reason'> {
  const unaccounted = sum(balances.map((balance) => balance.unaccounted))
  const of = sum(balances.map(({ offered, returned }) => offered - returned))
  const checked = checkedGenerators(app, ports)
  const generators = ports.flatMap((port, i) => (checked[i] ? (port.nic?.account.generators ?? []) : []))
  const late = sum(generators.map((generator) => generator.late))
  const copies = sum(balances.map((balance) => balance.copies))
  if (of > 0 && sum(generators.map(({ sent }) => sent)) === of && (late === 0 || copies === 0)) {
    return {
      lost: sum(generators.map(({ lost }) => lost)),
      corrupted: sum(generators.map(({ corrupted }) => corrupted)),
      of,
      unaccounted,
      bySequence: true,
    }
  }
  // With copies, more may be lost than were offered.
  const lost = Math.min(sum(balances.map(({ lost, underWay }) => framesOf(lost) + underWay)), of)
  return {
    lost,
    // Faults count what they change; a frame may be changed twice, or be lost afterwards.
    corrupted: Math.min(sum(balances.map((balance) => balance.corrupted)), of - lost),
    of,
    unaccounted,
    bySequence: false,
  }
}
