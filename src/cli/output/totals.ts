/** What running processes have counted so far: `stats --once`. */
import type { ChalkInstance } from 'chalk'
import { labels } from './layout.ts'
import { counted } from '../../wording.ts'
import { dropLine, ownerText } from './summary.ts'
import type { Total } from './tally.ts'

/** One `end` object. Rates are of no use here: nobody knows when the packets moved. */
export function totalsObject(totals: readonly Total[]): string {
  return JSON.stringify({
    event: 'end',
    elapsed: 0,
    devices: totals.map(({ owner, ...counters }) => ({ ...counters, ...owner })),
    reason: 'done',
    error: null,
  })
}

export function totalsLines(totals: readonly Total[], chalk: ChalkInstance): string[] {
  const names = labels(totals)
  return totals.flatMap((total, i) => {
    const name = chalk.cyan(`[${names[i]}]`)
    const lines = [total.rx, total.tx].map(
      ({ packets, bytes }, i) =>
        `${name} ${i === 0 ? 'RX' : 'TX'}: ${counted(packets, 'packet')}, ${counted(bytes, 'byte')}`,
    )
    return [`${lines[0]}${ownerText(total.owner, chalk)}`, lines[1], `  ${dropLine(total, chalk)}`]
  })
}
