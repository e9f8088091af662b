/** Runs an app and shows what happens: shared by all commands that run one. */
import type { AppCommand, Findings } from '../apps/command.ts'
import { run } from '../engine/run.ts'
import type { DeviceCounters, RunOptions, RunResult, VirtualReport } from '../engine/types.ts'
import { IxyError } from '../errors.ts'
import { lineRateLimited, takesStdout } from './device-argument.ts'
import { exitCodeOf, reportFailure } from './failure.ts'
import { createLog } from './log.ts'
import type { RunFlags } from './options.ts'
import { labels } from './output/layout.ts'
import { counted } from '../wording.ts'
import { createReporter } from './output/create.ts'
import { lendStdout, openStdout } from './output/stdout.ts'
import { unmetLoss } from './output/loss.ts'
import { packetRate } from './output/rates.ts'
import { Tally } from './output/tally.ts'
import { RunReport } from './report/of-run.ts'
import { listenForStop } from './stop.ts'
import { sum } from '../sum.ts'

/** What there is to say about an app besides what it does. */
export interface Wording {
  readonly headline: AppCommand['headline']
  /** It may send more than a link carries. */
  readonly flatOut: boolean
  /** It writes a capture to stdout. */
  readonly takesStdout?: boolean
  /** It prints lines of its own, instead of those of intervals. */
  readonly prints?: boolean
  findings(result: unknown, counters: Readonly<Record<string, number>>): Findings | null
  /** The expectations of its own that the run has not met. */
  unmet?(result: unknown): readonly IxyError[]
}

const NO_FINDINGS: Findings = { json: {}, text: null, warnings: [], loss: null }

/** Returns the exit code. Rejects only before anything has begun: a report that could not be written. */
export async function runApp(
  options: RunOptions,
  flags: RunFlags,
  wording: Wording,
  stop = listenForStop(),
): Promise<number> {
  const report = new RunReport(options.app.app.name, flags)
  if (wording.takesStdout === true || takesStdout(options.devices)) lendStdout()
  const output = openStdout(flags.color, stop.stop)
  const { app } = options.app
  const intervals = { ...flags, quiet: flags.quiet || (wording.prints === true && !flags.json) }
  const reporter = createReporter(app.name, intervals, output, ({ devices }) => {
    const whole = devices.filter(({ queue }) => queue === null)
    return wording.headline({
      packets: counted(sum(whole.map(({ tx }) => tx.packets)), 'packet'),
      received: counted(sum(whole.map(({ rx }) => rx.packets)), 'packet'),
      rate: packetRate({ mpps: sum(whole.map(({ tx }) => tx.average.mpps)) }),
    })
  })
  const log = createLog(flags.logLevel, flags.color)
  const tally = new Tally()
  const limited = lineRateLimited(options.devices, wording.flatOut)
  const hinted = new Set<string>()
  let names: readonly string[] = []
  const hint = (devices: readonly DeviceCounters[]): void => {
    for (const text of [...idleQueueHints(devices), ...oversizeHints(devices, options.mtu)]) {
      if (!hinted.has(text)) log.warn(text)
      hinted.add(text)
    }
  }

  const result = await run(
    options,
    {
      started(devices) {
        names = labels(devices)
        devices.forEach(({ model, mac, access, linkUp, linkMbit }, i) => {
          const beyond = limited || !access.endsWith('-user') ? '' : ', not limited to line rate'
          const speed = linkMbit > 0 ? `at ${linkMbit} Mbit/s` : 'at a speed that it does not tell'
          const link = linkUp ? `link up ${speed}${beyond}` : 'no link yet'
          log.info(`${names[i]}: ${model}, ${mac}, by ${access}, ${link}`)
        })
        reporter.start(devices, [], limited)
        report.reporter?.start(devices, [], limited)
      },
      interval(event) {
        tally.add(event)
        reporter.interval(event)
        report.reporter?.interval(event)
        hint(event.devices)
      },
      link(event) {
        log.warn(`${names[event.index]}: link ${event.up ? 'up' : 'down'}`)
        reporter.link(event)
        report.reporter?.link(event)
      },
      progress: (message) => log.info(message),
      warning: (message) => log.warn(message),
      line: (text) => output.offer(text),
    },
    stop.signal,
  )

  hint(result.devices)
  for (const text of kernelDropHints(result.virtual)) log.warn(text)
  if (output.dropped > 0)
    log.warn(`${counted(output.dropped, 'line')} of intervals left out: stdout was not read`)
  const findings = wording.findings(result.result, result.counters) ?? NO_FINDINGS
  for (const text of findings.warnings) log.warn(text)
  const known = findings.loss === null ? result.loss : { ...result.loss, ...findings.loss, corrupted: 0 }
  const loss = { ...known, lost: known.lost + (findings.lostHere ?? 0) }
  const failure =
    result.error ??
    inOne([...unmetExpectations({ ...result, loss }, flags), ...(wording.unmet?.(result.result) ?? [])])
  const end = {
    elapsed: result.elapsed,
    active: result.active,
    lineRateLimited: limited,
    reason: result.reason,
    devices: tally.summarize(result.devices, result.active),
    virtual: result.virtual,
    balance: result.balance,
    loss,
    app: {
      name: app.name,
      counters: result.counters,
      json: findings.json,
      text: findings.text,
      alone: findings.alone === true,
    },
    error: failure,
  }
  const written = await report.write(end)
  const error = failure ?? (written instanceof IxyError ? written : null)
  reporter.end({ ...end, error })
  if (!(written instanceof IxyError)) for (const file of written) log.info(`report: ${file}`)
  else if (error !== written) log.error(written.message)
  if (error === null) return 0
  return exitCodeOf(reportFailure(error, log.isLevelEnabled('debug'), flags.color), result.elapsed > 0)
}

/** Fewer packets than this on a device say nothing about its queues. */
const ENOUGH_PACKETS = 1000

/** Causes by which packets that came to a queue are not among those its worker has taken. */
const NOT_TAKEN = ['rx_untaken', 'pool_empty', 'fragments', 'bad_length']

/** Packets that a card has put into a queue, as far as its worker knows. */
function cameTo({ rx, dropped }: DeviceCounters): number {
  return NOT_TAKEN.reduce((sum, cause) => sum + (dropped[cause] ?? 0), rx.packets)
}

/** A line for each device with several queues that has received everything on one of them: not where another's worker got no time. */
export function idleQueueHints(devices: readonly DeviceCounters[]): string[] {
  return devices
    .filter(({ queue, rx }) => queue === null && rx.packets >= ENOUGH_PACKETS)
    .flatMap(({ index, device, rx }) => {
      const queues = devices.filter((counters) => counters.index === index && counters.queue !== null)
      const used = queues.filter((queue) => cameTo(queue) > 0)
      if (queues.length < 2 || used.length !== 1 || cameTo(used[0]) < rx.packets) return []
      return [
        `${device}: one of its ${queues.length} queues gets every packet, as a flow stays on one: ` +
          'several queues need several flows (flows= of a gen wire, --flows of pktgen)',
      ]
    })
}

/** A line for each TAP behind which the kernel has dropped frames: it had taken them, so they aren't lost here. */
export function kernelDropHints(virtual: readonly VirtualReport[]): string[] {
  return virtual
    .flatMap(({ wires }) => wires)
    .filter(({ counters }) => (counters['kernelDroppedIn'] ?? 0) + (counters['kernelDroppedOut'] ?? 0) > 0)
    .map(({ wire, counters }) => {
      const { kernelDroppedIn, kernelDroppedOut } = counters
      return `${wire}: the kernel has dropped ${kernelDroppedOut} frames that it took and ${kernelDroppedIn} that it was to send`
    })
}

/** A line for each device that drops frames for being too long. */
export function oversizeHints(devices: readonly DeviceCounters[], mtu: number): string[] {
  return devices
    .filter(({ queue, dropped }) => queue === null && (dropped['oversize'] ?? 0) > 0)
    .map(({ device }) => `${device}: drops frames that are longer than --mtu ${mtu} allows`)
}

/** Those of `--expect-mpps` and `--expect-loss` that the run has not met. */
export function unmetExpectations(
  result: RunResult,
  expected: Pick<RunFlags, 'expectMpps' | 'expectLoss'>,
): IxyError[] {
  const { expectMpps, expectLoss } = expected
  const slow = expectMpps === undefined ? null : unmetRate(result, expectMpps)
  const lossy = expectLoss === undefined ? null : unmetLoss(result.loss, expectLoss)
  return [
    ...(slow === null ? [] : [new IxyError('IXY_ERR_EXPECTATION', `${slow} (--expect-mpps)`)]),
    ...(lossy === null ? [] : [new IxyError('IXY_ERR_EXPECTATION', `${lossy} (--expect-loss)`)]),
  ]
}

function unmetRate({ devices, active }: RunResult, expected: number): string | null {
  const sent = sum(devices.filter(({ queue }) => queue === null).map(({ tx }) => tx.packets))
  if (sent === 0) return `no packet was sent, expected at least ${expected} Mpps`
  const mpps = active > 0 ? sent / active / 1e6 : 0
  if (mpps >= expected) return null
  return `sent ${Number(mpps.toPrecision(6))} Mpps on average, expected at least ${expected}`
}

/** A run fails with one error, which names all that it has not met. */
function inOne(unmet: readonly IxyError[]): IxyError | null {
  if (unmet.length <= 1) return unmet[0] ?? null
  return new IxyError('IXY_ERR_EXPECTATION', unmet.map(({ message }) => message).join('; '))
}
