/** What a run tells those who watch it (`ixy-ts stats`), beyond what its own reports say. */
import type { CardTotals } from '../vnic/model/totals.ts'
import type { WireReport } from '../vnic/wires/wire.ts'
import type { Crew } from './crew.ts'
import type { Links } from './links.ts'
import type { Session } from './session.ts'
import type { StatisticsBoard } from './statistics-board.ts'
import type { DeviceCounters, Sample, WiresNow } from './types.ts'
import type { Workload } from './workload.ts'

/** What only a virtual card counts; a real one is silent. */
const MODEL_CAUSES = ['mac_control', 'filtered', 'not_listening', 'tx_invalid', 'rx_buffered'] as const

export interface Watched {
  readonly session: Session
  readonly crew: Crew
  readonly board: StatisticsBoard
  readonly links: Links
  readonly workload: Workload
}

/** Throws if a device has gone. */
export function watchedSample({ session, crew, board, links, workload }: Watched): Sample {
  const sample = board.sample()
  const reports = session.virtual?.latest() ?? []
  const wires: WiresNow[] = []
  const cards = new Map<number, CardTotals>()
  reports.forEach((report, i) => {
    const index = session.virtualIndexes[i]
    const { name: device } = session.devices[index]
    cards.set(index, report.card)
    wires.push({ index, device, wires: report.wires.map(withoutLost), breaches: report.breaches })
  })
  const roundTrips = workload.roundTrips()
  return {
    ...sample,
    devices: sample.devices.map((counters) => withModelCauses(counters, cards.get(counters.index))),
    links: links.now(),
    workers: crew.polls(),
    ...(wires.length === 0 ? {} : { wires }),
    ...(roundTrips === null ? {} : { roundTrips }),
  }
}

function withModelCauses(counters: DeviceCounters, card: CardTotals | undefined): DeviceCounters {
  if (card === undefined || counters.queue !== null) return counters
  const own = Object.fromEntries(MODEL_CAUSES.map((cause) => [cause, card.dropped[cause]]))
  return { ...counters, dropped: { ...counters.dropped, ...own } }
}

/** While packets are under way nobody knows which of them are lost. */
export function withoutLost(report: WireReport): WireReport {
  const counters = Object.entries(report.counters).filter(([name]) => name !== 'lost')
  return { ...report, counters: Object.fromEntries(counters) }
}
