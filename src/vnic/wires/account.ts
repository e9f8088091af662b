/**
 * Where the frames of a wire are, for the balance of a run (engine/balance.ts): every frame that a source has put on the
 * way is at an end, lost under a name, or on its way. All numbers are frames since the start.
 */
import { sum } from '../../sum.ts'
import type { Tally } from './ledger.ts'

/** Frames that were lost for one cause at one place. */
export interface Loss {
  /** `fault=drop=0.1`, `card`, `worker`… */
  readonly place: string
  /** `dropped`, `missed`, `pool_empty`… */
  readonly cause: string
  readonly frames: number
}

/** What happens to frames in one direction. */
export interface Path {
  /** Made by faults, in addition to those that were offered. */
  readonly copies: number
  /** Changed by faults. They go on. */
  readonly corrupted: number
  /** Taken, and neither passed on nor lost yet. */
  readonly held: number
  readonly lost: readonly Loss[]
}

export interface WireAccount {
  /** Towards the NIC. */
  readonly in: Path & {
    /** Put on the way by the sources at this wire. */
    readonly offered: number
    /** From the NIC, and sent back to it (a loop): the same frames once more. */
    readonly returned: number
  }
  /** From the NIC. */
  readonly out: Path & {
    /** Have reached an end of this wire, or have been handed back to the NIC. */
    readonly arrived: number
    /** Sequence numbers of generated frames are checked here. */
    readonly books: boolean
  }
  /** Of the generators at this wire: what became of their frames, wherever they came out. */
  readonly generators: readonly Tally[]
}

/** How many frames that is. */
export function framesOf(lost: readonly Loss[]): number {
  return sum(lost.map(({ frames }) => frames))
}

const NOTHING_HAPPENS: Path = { copies: 0, corrupted: 0, held: 0, lost: [] }

/** The account of a wire that copies nothing. `held` and `lost`: of what came from the NIC. */
export function plainAccount(counts: {
  offered?: number
  arrived?: number
  held?: number
  lost?: readonly Loss[]
  books?: boolean
  generators?: readonly Tally[]
}): WireAccount {
  const { offered = 0, arrived = 0, held = 0, lost = [], books = false, generators = [] } = counts
  return {
    in: { ...NOTHING_HAPPENS, offered, returned: 0 },
    out: { ...NOTHING_HAPPENS, arrived, books, held, lost: some(lost) },
    generators,
  }
}

/**
 * Several wires behind one plug: all of them send, and get the same frames. What arrives is counted at `end`, one of them; what
 * one of the `others` has lost or still holds has not arrived.
 */
export function sumAccounts(
  parts: readonly WireAccount[],
  end: WireAccount,
  others: readonly WireAccount[],
): WireAccount {
  const lost = others.flatMap((other) => other.out.lost)
  const held = sum(others.map(({ out }) => out.held))
  const missing = framesOf(lost) + held
  const total = (of: (part: WireAccount) => number): number => sum(parts.map(of))
  return {
    in: {
      offered: total((part) => part.in.offered),
      returned: total((part) => part.in.returned),
      copies: total((part) => part.in.copies),
      corrupted: total((part) => part.in.corrupted),
      held: total((part) => part.in.held),
      lost: parts.flatMap((part) => part.in.lost),
    },
    out: {
      ...end.out,
      arrived: end.out.arrived - missing,
      held: end.out.held + held,
      lost: [...end.out.lost, ...lost],
      // What is lost behind the books is not in them.
      books: missing === 0 && parts.some((part) => part.out.books),
    },
    generators: parts.flatMap((part) => part.generators),
  }
}

/** Adds what happens in front of a wire to what happens behind. */
export function addPath(behind: Path, here: Path): Path {
  return {
    copies: behind.copies + here.copies,
    corrupted: behind.corrupted + here.corrupted,
    held: behind.held + here.held,
    lost: [...behind.lost, ...some(here.lost)],
  }
}

function some(lost: readonly Loss[]): Loss[] {
  return lost.filter(({ frames }) => frames > 0)
}
