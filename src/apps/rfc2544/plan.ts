import type { DroppedBy, Plan, PlanContext } from '../../engine/app.ts'
import { usageError } from '../../errors.ts'
import { parseMac } from '../../packet/mac.ts'
import { DEFAULT_TEMPLATE, type FrameTemplate } from '../../packet/template.ts'
import { type FramePlan, planFrames } from '../pktgen/templates/frame-plan.ts'
import { Bench } from './bench.ts'
import { Board } from './board.ts'
import { Campaign, type Told } from './campaign.ts'
import { FCS_BYTES } from './load.ts'
import type { Rfc2544Job, Rfc2544Options } from './options.ts'
import type { Rfc2544Result } from './results.ts'
import { resultObject, trialObject } from './report.ts'

/** The speed of a link that doesn't tell. */
const NOMINAL_MBIT = 10_000

/** The campaign runs in this thread, beside the worker that sends and receives. */
export function planRfc2544(options: Rfc2544Options, context: PlanContext): Plan<Rfc2544Job> {
  const { devices, log, stop } = context
  if (options.bidirectional && devices.length < 2)
    throw usageError('--bidirectional needs two devices', 'name the second one, or leave it out')
  const memory = Board.allocate(devices.length)
  let linkMbit = NOMINAL_MBIT
  let campaign: Campaign | null = null
  let complete = false
  let end: (reason: 'done' | 'signal') => void = () => undefined
  let fail: (error: unknown) => void = () => undefined
  const ended = new Promise<'done' | 'signal'>((resolve) => (end = resolve))
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => undefined)
  /** Aborted also when the run ends for another reason. */
  const over = new AbortController()
  const told: Told = {
    progress: (text) => log('progress', text),
    trial: (report) => void (options.json && context.print(JSON.stringify(trialObject(report, linkMbit)))),
    result: (test, frameBytes, result) =>
      void (options.json && context.print(JSON.stringify(resultObject(test, frameBytes, result, linkMbit)))),
  }
  return {
    jobs(links) {
      const known = links.filter((mbit) => mbit > 0)
      if (known.length > 0) linkMbit = Math.min(...known)
      const plans = lanePlans(options, devices.length)
      return [
        {
          board: memory,
          lanes: plans.map((ofLane, i) => ({ from: i, to: plans.length - 1 - i, plans: ofLane })),
        },
      ]
    },
    started(dropped: () => readonly DroppedBy[]) {
      const bench = new Bench(
        new Board(memory),
        dropped,
        options.durations.drain,
        AbortSignal.any([stop, over.signal]),
      )
      campaign = new Campaign(bench, options, linkMbit, devices.length, told)
      campaign.run().then((all) => {
        complete = all
        end(all ? 'done' : 'signal')
      }, fail)
    },
    ended,
    failed,
    finish() {
      over.abort()
      return Promise.resolve()
    },
    result: (): Rfc2544Result | null =>
      campaign === null
        ? null
        : {
            complete,
            directions: campaign.directions,
            linkMbit,
            trials: campaign.trials,
            sizes: campaign.sizes,
          },
    close: () => over.abort(),
  }
}

/** What is sent from each device, by frame size. What the second sends is what the first gets an answer of. */
function lanePlans({ frameSizes, srcMac, dstMac }: Rfc2544Options, devices: number): FramePlan[][] {
  const there: FrameTemplate = {
    ...DEFAULT_TEMPLATE,
    sourceMac: srcMac === null ? DEFAULT_TEMPLATE.sourceMac : parseMac(srcMac),
    destinationMac: dstMac === null ? DEFAULT_TEMPLATE.destinationMac : parseMac(dstMac),
  }
  const back: FrameTemplate = {
    ...there,
    sourceMac: there.destinationMac,
    destinationMac: there.sourceMac,
    sourceIp: there.destinationIp,
    destinationIp: there.sourceIp,
  }
  return [there, back]
    .slice(0, devices)
    .map((template) => frameSizes.map((frameBytes) => planFrames(template, [frameBytes - FCS_BYTES])))
}
