/** The end of a run: the last counts of all who know them, and what they say when they are laid side by side. */
import type { NicReport } from '../vnic/child-protocol.ts'
import type { WireReport } from '../vnic/wires/wire.ts'
import { type Span, activeSeconds, spansOf } from './activity.ts'
import { type Balance, type Passage, type PortCounts, balanceOf, unsentOf } from './balance.ts'
import type { Crew } from './crew.ts'
import { type LossVerdict, checkedGenerators, lossOf } from './loss.ts'
import type { Session } from './session.ts'
import type { StatisticsBoard } from './statistics-board.ts'
import type { DeviceCounters, VirtualReport } from './types.ts'
import type { Late } from './virtual.ts'
import { DROP_CAUSES } from './worker-spec.ts'

export class Audit {
  readonly devices: readonly DeviceCounters[]
  readonly virtual: readonly VirtualReport[]
  readonly balance: readonly Balance[]
  readonly loss: LossVerdict
  private readonly moved: readonly Span[]

  private constructor(
    parts: Pick<Audit, 'devices' | 'virtual' | 'balance' | 'loss'>,
    moved: readonly Span[],
  ) {
    this.moved = moved
    this.devices = parts.devices
    this.virtual = parts.virtual
    this.balance = parts.balance
    this.loss = parts.loss
  }

  /**
   * To be taken when the workers have ended; virtual cards may answer until it is `late`. Stops what cards may still send, as
   * nothing is to move while they are asked.
   */
  static async take(
    session: Session,
    app: Passage,
    crew: Crew | null,
    board: StatisticsBoard | null,
    late: Late,
  ): Promise<Audit> {
    /** Devices that can't be asked any more, and that no process of ours speaks for. */
    const lost: string[] = []
    session.devices.forEach((device, index) => {
      try {
        device.stopSending()
        device.assertAlive()
      } catch {
        if (!session.virtualIndexes.includes(index)) lost.push(device.name)
      }
    })
    const { reports, final } = (await session.virtual?.finalReports(late)) ?? {
      reports: [],
      final: true,
    }
    const nics = session.devices.map((_, index): NicReport | null => {
      const at = session.virtualIndexes.indexOf(index)
      return at < 0 ? null : (reports[at] ?? null)
    })
    const lastWords = nics.map((nic) => (final ? (nic?.card ?? null) : null))
    const devices = withModelCounts(board?.finalTotals(lastWords) ?? [], nics)
    const reason = whyNotFinal(crew, final ? lost : [...lost, session.virtual?.names ?? ''])
    const whole = devices.filter(({ queue }) => queue === null)
    // What isn't final doesn't fit together.
    const ports = crew === null || reason !== '' ? [] : whole.map((device) => portOf(device, crew, nics))
    const balance = ports.length === 0 ? [] : balanceOf(app, ports)
    const checked = checkedGenerators(app, ports)
    const parts = {
      devices: withUnsent(devices, ports),
      virtual: nics.flatMap((nic, index) =>
        nic === null
          ? []
          : [{ final, ...virtualReport(index, session.devices[index].name, nic, checked[index] ?? false) }],
      ),
      balance,
      loss: { judged: reason === '', reason, ...lossOf(app, ports, balance) },
    }
    const others = !final || nics.some((nic) => nic === null)
    const cards = nics.map((nic) => nic?.moved ?? null)
    return new Audit(parts, spansOf(cards, crew?.moved() ?? [], others))
  }

  /** Seconds in which packets moved, of the `elapsed` that the run took. */
  active(elapsed: number): number {
    const packets = Math.max(0, ...this.devices.map(({ rx, tx }) => Math.max(rx.packets, tx.packets)))
    return activeSeconds(this.moved, packets, elapsed)
  }
}

/** Why the counts are not the last ones; '' if they are. `gone`: devices whose last counts nobody knows. */
function whyNotFinal(crew: Crew | null, gone: readonly string[]): string {
  if (crew?.counted === false) return 'a data-plane worker has ended without its last counts'
  return gone.length === 0 ? '' : `${gone.join(', ')} is gone without its last counts`
}

function portOf(device: DeviceCounters, crew: Crew, nics: readonly (NicReport | null)[]): PortCounts {
  const { index, rx, tx } = device
  const own = new Set<string>(DROP_CAUSES)
  const dropped = Object.fromEntries(Object.entries(device.dropped).filter(([cause]) => !own.has(cause)))
  return {
    index,
    device: device.device,
    card: { received: rx.packets, sent: tx.packets, dropped },
    worker: crew.account(index),
    nic: nics[index],
  }
}

/** Adds the drops that only a virtual card counts: on a real one, nobody knows what is left in the packet buffer. */
function withModelCounts(
  totals: readonly DeviceCounters[],
  nics: readonly (NicReport | null)[],
): DeviceCounters[] {
  return totals.map((counters) => {
    const nic = nics[counters.index]
    if (nic === null || counters.queue !== null) return counters
    const { mac_control, filtered, not_listening, tx_invalid, rx_buffered } = nic.card.dropped
    const own = { mac_control, filtered, not_listening, tx_invalid, rx_buffered: rx_buffered + nic.buffered }
    return { ...counters, dropped: { ...counters.dropped, ...own } }
  })
}

/**
 * Of each device, what its rings have kept in the end, see unsentOf(); the workers, which stop before the cards, may have seen more. Of
 * several queues nobody knows whose the difference was: theirs stay as the workers saw them, but if nothing is left.
 */
function withUnsent(devices: readonly DeviceCounters[], ports: readonly PortCounts[]): DeviceCounters[] {
  return devices.map((counters) => {
    const port = ports.find(({ index }) => index === counters.index)
    if (port === undefined) return counters
    const tx_unsent = unsentOf(port)
    if (counters.queue !== null && tx_unsent > 0) return counters
    return { ...counters, dropped: { ...counters.dropped, tx_unsent } }
  })
}

function virtualReport(
  index: number,
  device: string,
  nic: NicReport,
  checked: boolean,
): Omit<VirtualReport, 'final'> {
  return { index, device, wires: checked ? nic.wires : nic.wires.map(withoutVerdict), breaches: nic.breaches }
}

/** A wire whose generated frames nobody checks where they come out: it can't know which are lost. */
export function withoutVerdict(report: WireReport): WireReport {
  const { lost, ...counters } = report.counters
  if (lost === undefined) return report
  return {
    ...report,
    counters,
    notJudged: 'not all of its frames end where their sequence numbers are checked',
  }
}
