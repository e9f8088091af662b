/** What a command tells stdout about, whatever its form. */
import type { IxyError } from '../../errors.ts'
import type {
  DeviceInfo,
  EndReason,
  IntervalEvent,
  Latency,
  LinkEvent,
  VirtualReport,
} from '../../engine/types.ts'
import type { DeviceSummary, Loss, Owner } from './tally.ts'

export interface EndReport {
  readonly elapsed: number
  readonly reason: EndReason
  readonly devices: readonly DeviceSummary[]
  readonly virtual: readonly VirtualReport[]
  /** null where nobody can tell (`stats`, `vnic`). */
  readonly loss: Loss | null
  /** What virtual wires send should come out at one of them (forward). */
  readonly endToEnd?: boolean
  /** Only where it was measured. */
  readonly latency?: Latency | null
  readonly error: IxyError | null
}

export interface Reporter {
  start(devices: readonly DeviceInfo[], owners?: readonly Owner[]): void
  /** `owners[i]` is whom `event.devices[i]` belongs to. */
  interval(event: IntervalEvent, owners?: readonly Owner[]): void
  link(event: LinkEvent): void
  end(report: EndReport): void
}
