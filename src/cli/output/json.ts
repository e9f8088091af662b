/** NDJSON, as the contract has it: start, interval, link, end. */
import { type IxyError, asIxyError } from '../../errors.ts'
import type { DeviceInfo, IntervalEvent, LinkEvent, Traffic } from '../../engine/types.ts'
import { lossRatio } from './loss.ts'
import { rateOf } from './rates.ts'
import type { EndReport, Reporter } from './reporter.ts'
import type { DirectionSummary, Owner } from './tally.ts'

export class JsonReporter implements Reporter {
  private readonly write: (line: string) => void
  private readonly command: string
  private readonly version: string
  private readonly quiet: boolean

  constructor(write: (line: string) => void, command: string, version: string, quiet: boolean) {
    this.write = write
    this.command = command
    this.version = version
    this.quiet = quiet
  }

  start(devices: readonly DeviceInfo[], owners: readonly Owner[] = []): void {
    if (this.quiet) return
    this.object({
      event: 'start',
      version: this.version,
      command: this.command,
      devices: devices.map((info, i) => ({
        device: info.device,
        index: info.index,
        model: info.model,
        mac: info.mac,
        access: info.access,
        linkMbit: info.linkMbit,
        ...owners[i],
      })),
    })
  }

  interval(event: IntervalEvent, owners: readonly Owner[] = []): void {
    if (this.quiet) return
    event.devices.forEach((counters, i) => {
      this.object({
        event: 'interval',
        elapsed: round(event.elapsed, 3),
        device: counters.device,
        index: counters.index,
        queue: counters.queue,
        rx: traffic(counters.rx, event.seconds),
        tx: traffic(counters.tx, event.seconds),
        dropped: counters.dropped,
        ...owners[i],
      })
    })
  }

  link(event: LinkEvent): void {
    if (this.quiet) return
    this.object({ event: 'link', device: event.device, index: event.index, up: event.up })
  }

  end(report: EndReport): void {
    const { loss } = report
    this.object({
      event: 'end',
      elapsed: round(report.elapsed, 3),
      devices: report.devices.map(({ device, index, queue, rx, tx, dropped, owner }) => ({
        device,
        index,
        queue,
        rx: direction(rx),
        tx: direction(tx),
        dropped,
        ...owner,
      })),
      reason: report.reason,
      error: errorObject(report.error),
      ...(report.virtual.length > 0 ? { virtual: report.virtual } : {}),
      ...(report.latency ? { latencyMicroseconds: report.latency } : {}),
      ...(report.balance === undefined ? {} : { balance: report.balance }),
      ...(loss === null ? {} : { loss: { ...loss, ratio: lossRatio(loss) } }),
    })
  }

  private object(value: object): void {
    this.write(JSON.stringify(value))
  }
}

/** The end of a command that failed before there was anything to report. */
export function failedEnd(error: unknown): string {
  return JSON.stringify({
    event: 'end',
    elapsed: 0,
    devices: [],
    reason: 'error',
    error: errorObject(asIxyError(error)),
  })
}

function errorObject(error: IxyError | null): { code: string; message: string } | null {
  return error === null ? null : { code: error.code, message: error.message }
}

function traffic(counted: Traffic, seconds: number): object {
  const { mpps, mbit } = rateOf(counted, seconds)
  return { packets: counted.packets, bytes: counted.bytes, mpps: round(mpps, 6), mbit: round(mbit, 3) }
}

function direction({ packets, bytes, average, peak }: DirectionSummary): object {
  return {
    packets,
    bytes,
    mpps: round(average.mpps, 6),
    mbit: round(average.mbit, 3),
    peakMpps: round(peak.mpps, 6),
    peakMbit: round(peak.mbit, 3),
  }
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
