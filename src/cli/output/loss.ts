/** What the verdict on loss looks like, in words and against what was expected. */
import type { Balance, End } from '../../engine/balance.ts'
import type { LossVerdict } from '../../engine/loss.ts'
import type { VirtualReport } from '../../engine/types.ts'
import { sum } from '../../sum.ts'
import { grouped, words } from '../../wording.ts'

/** The share that has not arrived as it was sent; 0 if nothing was offered. */
export function lossRatio({ lost, corrupted, of }: LossVerdict): number {
  return of > 0 ? (lost + corrupted) / of : 0
}

/** Why a run doesn't meet `--expect-loss expected`; null if it does. */
export function unmetLoss(loss: LossVerdict, expected: number): string | null {
  if (!loss.judged) return `loss can't be judged here: ${loss.reason}`
  if (loss.unaccounted > 0)
    return `nobody has counted what became of ${grouped(loss.unaccounted)} packets (unaccounted)`
  if (loss.of === 0) return 'no packet moved, so nothing can be said of loss'
  const ratio = lossRatio(loss)
  if (ratio <= expected) return null
  const corrupted = loss.corrupted > 0 ? ` and ${corruptedBy(loss)} ${loss.corrupted}` : ''
  return `lost ${loss.lost}${corrupted} of ${loss.of} packets (${ratio.toPrecision(3)}), expected at most ${expected}`
}

/** Faults know how often they have changed a frame, not how many of them. */
function corruptedBy({ bySequence }: LossVerdict): string {
  return bySequence ? 'corrupted' : 'corrupted at most'
}

/** `: lost 0, duplicated 0, …`, and whether that is good news. */
export function verdictOf(
  loss: LossVerdict,
  virtual: readonly VirtualReport[],
): { text: string; good: boolean } {
  if (!loss.judged) return { text: `loss not judged: ${loss.reason}`, good: false }
  const parts: Record<string, number> = { lost: loss.lost }
  if (loss.bySequence) {
    const wires = virtual.flatMap((nic) => nic.wires).filter(({ counters }) => counters['lost'] !== undefined)
    for (const name of ['duplicated', 'reordered'])
      parts[name] = sum(wires.map(({ counters }) => counters[name] ?? 0))
  }
  if (loss.bySequence || loss.corrupted > 0) parts[corruptedBy(loss)] = loss.corrupted
  if (loss.unaccounted > 0) parts['unaccounted'] = loss.unaccounted
  const text = Object.entries(parts).map(([name, count]) => `${name} ${grouped(count)}`)
  return { text: text.join(', '), good: sum(Object.values(parts)) === 0 }
}

/** One line per direction in which anything moved. `names`: of the devices, by index. */
export function balanceLines(balances: readonly Balance[], names: ReadonlyMap<number, string>): string[] {
  const nameOf = ({ device, index }: End): string => (index === null ? device : (names.get(index) ?? device))
  return balances
    .filter(({ offered, arrived, lost, unaccounted }) => offered + arrived + lost.length + unaccounted > 0)
    .map((balance) => {
      const { offered, copies, arrived, underWay, lost, filteredOut, unaccounted } = balance
      const parts = [`offered ${grouped(offered)}`]
      if (copies > 0) parts.push(`copies ${grouped(copies)}`)
      parts.push(`arrived ${grouped(arrived)}`)
      if (filteredOut > 0) parts.push(`filtered out ${grouped(filteredOut)}`)
      for (const { place, cause, frames } of lost) parts.push(`${words(cause)} ${grouped(frames)} (${place})`)
      if (underWay > 0) parts.push(`under way ${grouped(underWay)}`)
      parts.push(`unaccounted ${grouped(unaccounted)}`)
      return `${nameOf(balance.from)} to ${nameOf(balance.to)}: ${parts.join(', ')}`
    })
}
