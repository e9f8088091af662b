/** Runs an app and shows what happens: shared by forward and pktgen. */
import type { Run, RunOptions, RunResult } from '../engine/types.ts'
import { IxyError } from '../errors.ts'
import { reportFailure } from './failure.ts'
import { createLog } from './log.ts'
import type { RunFlags } from './options.ts'
import { createReporter } from './output/create.ts'
import { openStdout } from './output/stdout.ts'
import { Tally, lossOf, sum } from './output/tally.ts'
import type { Headline } from './output/text.ts'
import { listenForStop } from './stop.ts'

/** Returns the exit code. Never rejects. */
export async function runApp(
  run: Run,
  options: RunOptions,
  flags: RunFlags,
  headline: Headline,
): Promise<number> {
  const stop = listenForStop()
  const output = openStdout(flags.color, stop.stop)
  const reporter = createReporter(options.app.kind, flags, output, headline)
  const log = createLog(flags.logLevel, flags.color)
  const tally = new Tally()

  const result = await run(
    options,
    {
      started(devices) {
        for (const { device, model, mac, access, linkMbit } of devices) {
          const link = linkMbit > 0 ? `link up at ${linkMbit} Mbit/s` : 'no link yet'
          log.info(`${device}: ${model}, ${mac}, by ${access}, ${link}`)
        }
        reporter.start(devices)
      },
      interval(event) {
        tally.add(event)
        reporter.interval(event)
      },
      link(event) {
        log.warn(`${event.device}: link ${event.up ? 'up' : 'down'}`)
        reporter.link(event)
      },
      progress: (message) => log.info(message),
      warning: (message) => log.warn(message),
    },
    stop.signal,
  )

  const endToEnd = options.app.kind === 'forward'
  const error = result.error ?? unmetExpectation(result, flags, endToEnd)
  reporter.end({
    elapsed: result.elapsed,
    reason: result.reason,
    devices: tally.summarize(result.devices, result.elapsed),
    virtual: result.virtual,
    latency: result.latency,
    endToEnd,
    loss: lossOf(result.devices, result.virtual, endToEnd),
    error,
  })
  return error === null ? 0 : reportFailure(error, log.isLevelEnabled('debug'), flags.color)
}

/** The first `--expect-…` that the run has not met. */
export function unmetExpectation(
  result: RunResult,
  expected: Pick<RunFlags, 'expectMpps' | 'expectLoss'>,
  endToEnd = false,
): IxyError | null {
  const { expectMpps, expectLoss } = expected
  if (expectMpps !== undefined) {
    const sent = sum(result.devices.filter(({ queue }) => queue === null).map(({ tx }) => tx.packets))
    const mpps = result.elapsed > 0 ? sent / result.elapsed / 1e6 : 0
    if (mpps < expectMpps) {
      return new IxyError(
        'IXY_ERR_EXPECTATION',
        `sent ${mpps.toFixed(3)} Mpps on average, expected at least ${expectMpps} (--expect-mpps)`,
      )
    }
  }
  if (expectLoss !== undefined) {
    const { lost, of } = lossOf(result.devices, result.virtual, endToEnd)
    const ratio = of > 0 ? lost / of : 0
    if (ratio > expectLoss) {
      return new IxyError(
        'IXY_ERR_EXPECTATION',
        `lost ${lost} of ${of} packets (${ratio.toPrecision(3)}), expected at most ${expectLoss} (--expect-loss)`,
      )
    }
  }
  return null
}
