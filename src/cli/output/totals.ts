/** What running processes have counted so far: `stats --once`. */
import type { ChalkInstance } from 'chalk'
import { labels } from './layout.ts'
import { counted } from '../../wording.ts'
import { countersLine, dropLine, ownerText } from './summary.ts'
import type { AppSummary, Total } from './tally.ts'

interface Totals {
  readonly devices: readonly Total[]
  readonly apps: readonly AppSummary[]
}

/** One `end` object. Rates are of no use here: nobody knows when the packets moved. */
export function totalsObject({ devices, apps }: Totals): string {
  return JSON.stringify({
    event: 'end',
    time: new Date().toISOString(),
    elapsed: 0,
    devices: devices.map(({ owner, ...counters }) => ({ ...counters, ...owner })),
    ...(apps.length === 0 ? {} : { apps: apps.map(({ owner, ...app }) => ({ ...app, ...owner })) }),
    reason: 'done',
    error: null,
  })
}

export function totalsLines({ devices, apps }: Totals, chalk: ChalkInstance): string[] {
  const names = labels(devices)
  const lines = devices.flatMap((total, i) => {
    const name = chalk.cyan(`[${names[i]}]`)
    const lines = [total.rx, total.tx].map(
      ({ packets, bytes }, i) =>
        `${name} ${i === 0 ? 'RX' : 'TX'}: ${counted(packets, 'packet')}, ${counted(bytes, 'byte')}`,
    )
    return [`${lines[0]}${ownerText(total.owner, chalk)}`, lines[1], `  ${dropLine(total, chalk)}`]
  })
  const own = apps.map(
    ({ name, counters, owner }) => `${countersLine(name, counters, chalk)}${ownerText(owner, chalk)}`,
  )
  return [...lines, ...own]
}
