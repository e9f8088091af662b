/** NDJSON, as the contract has it: start, interval, link, end. */
import os from 'node:os'
import { type Finding, findingOf } from '../../memory/checked/findings.ts'
import { type IxyError, asIxyError } from '../../errors.ts'
import type { DeviceCounters, DeviceInfo, IntervalEvent, LinkEvent, Traffic } from '../../engine/types.ts'
import { lossRatio } from './loss.ts'
import { digits } from '../../wording.ts'
import { rateOf } from './rates.ts'
import type { EndReport, Lines, Reporter } from './reporter.ts'
import type { DirectionSummary, Owner } from './tally.ts'

export class JsonReporter implements Reporter {
  private readonly output: Lines
  private readonly command: string
  private readonly version: string
  private readonly quiet: boolean

  constructor(output: Lines, command: string, version: string, quiet: boolean) {
    this.output = output
    this.command = command
    this.version = version
    this.quiet = quiet
  }

  start(devices: readonly DeviceInfo[], owners: readonly Owner[] = [], lineRateLimited?: boolean): void {
    if (this.quiet) return
    this.object({
      event: 'start',
      time: new Date().toISOString(),
      version: this.version,
      command: this.command,
      devices: devices.map((info, i) => ({
        device: info.device,
        index: info.index,
        model: info.model,
        mac: info.mac,
        access: info.access,
        linkUp: info.linkUp,
        linkMbit: info.linkMbit,
        ...owners[i],
      })),
      lineRateLimited,
      arguments: process.argv.slice(2),
      system: system(),
    })
  }

  interval(event: IntervalEvent, owners: readonly Owner[] = []): void {
    if (this.quiet) return
    event.devices.forEach((counters, i) => {
      const object = {
        event: 'interval',
        ...timesOf(event),
        device: counters.device,
        index: counters.index,
        queue: counters.queue,
        rx: traffic(counters.rx, event.seconds),
        tx: traffic(counters.tx, event.seconds),
        dropped: counters.dropped,
        total: total(event.totals[i]),
        ...owners[i],
      }
      this.output.intervalLine(JSON.stringify(object))
    })
    const { app } = event
    if (app === undefined) return
    const { name, ...counted } = app
    this.output.intervalLine(
      JSON.stringify({ event: 'app', ...timesOf(event), app: name, ...counted, ...owners[0] }),
    )
  }

  link(event: LinkEvent): void {
    if (this.quiet) return
    const { device, index, up } = event
    this.object({ event: 'link', time: new Date().toISOString(), device, index, up })
  }

  end(report: EndReport): void {
    const { loss } = report
    const { dropped: intervalsDropped } = this.output
    this.object({
      event: 'end',
      time: new Date().toISOString(),
      elapsed: round(report.elapsed, 6),
      activeSeconds: digits(report.active),
      lineRateLimited: report.lineRateLimited,
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
      ...(intervalsDropped > 0 ? { intervalsDropped } : {}),
      ...(report.virtual.length > 0 ? { virtual: report.virtual } : {}),
      ...report.app?.json,
      ...(report.apps === undefined || report.apps.length === 0
        ? {}
        : { apps: report.apps.map(({ name, counters, owner }) => ({ name, counters, ...owner })) }),
      ...(report.balance === undefined ? {} : { balance: report.balance }),
      ...(loss === null ? {} : { loss: { ...loss, ratio: lossRatio(loss) } }),
    })
  }

  private object(value: object): void {
    this.output.line(JSON.stringify(value))
  }
}

/** The end of a command that failed, or was stopped (null), before there was anything to report. */
export function earlyEnd(error: unknown): string {
  return JSON.stringify({
    event: 'end',
    time: new Date().toISOString(),
    elapsed: 0,
    activeSeconds: 0,
    devices: [],
    reason: error === null ? 'signal' : 'error',
    error: errorObject(error === null ? null : asIxyError(error)),
  })
}

function errorObject(error: IxyError | null): { code: string; message: string; finding?: Finding } | null {
  if (error === null) return null
  const finding = findingOf(error)
  return { code: error.code, message: error.message, ...(finding === null ? {} : { finding }) }
}

/** What the run runs on. */
function system(): { host: string; kernel: string; cpu: string; cpus: number; node: string } {
  return {
    host: os.hostname(),
    kernel: `${os.type()} ${os.release()}`,
    cpu: os.cpus()[0]?.model.trim() ?? '',
    cpus: os.availableParallelism(),
    node: process.versions.node,
  }
}

function timesOf({ time, elapsed, seconds }: IntervalEvent): {
  time: string
  elapsed: number
  seconds: number
} {
  return { time: new Date(time).toISOString(), elapsed: round(elapsed, 3), seconds: digits(seconds) }
}

function traffic(counted: Traffic, seconds: number): object {
  const { mpps, mbit } = rateOf(counted, seconds)
  return {
    packets: counted.packets,
    bytes: counted.bytes,
    mpps: digits(mpps),
    mbit: digits(mbit),
    packetsPerSecond: digits(mpps * 1e6),
    bitsPerSecond: digits(mbit * 1e6),
  }
}

function total({ rx, tx, dropped }: DeviceCounters): object {
  return { rx, tx, dropped }
}

function direction({ packets, bytes, average, peak }: DirectionSummary): object {
  return {
    packets,
    bytes,
    mpps: digits(average.mpps),
    mbit: digits(average.mbit),
    packetsPerSecond: digits(average.mpps * 1e6),
    bitsPerSecond: digits(average.mbit * 1e6),
    peakMpps: digits(peak.mpps),
    peakMbit: digits(peak.mbit),
    peakPacketsPerSecond: digits(peak.mpps * 1e6),
    peakBitsPerSecond: digits(peak.mbit * 1e6),
  }
}

function round(value: number, places: number): number {
  return Number(value.toFixed(places))
}
