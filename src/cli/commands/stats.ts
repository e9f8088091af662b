import type { Command } from 'commander'
import { IxyError } from '../../errors.ts'
import { runtimeDirectory } from '../../linux/runtime-dir.ts'
import { deviceName } from '../device-argument.ts'
import { reportFailure } from '../failure.ts'
import { failedEnd } from '../output/json.ts'
import { type WatchFlags, addWatchOptions } from '../options.ts'
import { createReporter } from '../output/create.ts'
import { openStdout } from '../output/stdout.ts'
import { counted } from '../output/layout.ts'
import type { Finish } from '../finish.ts'
import { listenForStop } from '../stop.ts'
import { watch } from '../watch.ts'

const EXAMPLES = `
Examples:
  ixy-ts stats                       every running ixy-ts on this machine, once a second
  ixy-ts stats virtual:gen -d 5      one device, for five seconds
  ixy-ts stats --json -i 0.5         one JSON object per device and half second

Ends at a signal, after --duration, or when all it has watched have ended. With nothing to show it exits 3.`

export function addStats(program: Command, finish: Finish): void {
  const command = program
    .command('stats')
    .description('Show the counters of every running ixy-ts on this machine, or of the named devices')
    .argument('[device...]', 'devices as they were given to the command that runs them')
    .addHelpText('after', EXAMPLES)
  addWatchOptions(command).action(async (devices: string[], flags: WatchFlags) => {
    finish(await stats(devices.map(deviceName), flags))
  })
}

async function stats(devices: readonly string[], flags: WatchFlags): Promise<number> {
  const stop = listenForStop()
  const output = openStdout(flags.color, stop.stop)
  const reporter = createReporter(
    'stats',
    flags,
    output,
    ({ devices }) => `watched ${counted(devices.filter(({ queue }) => queue === null).length, 'device')}`,
  )
  const result = await watch(
    {
      directory: runtimeDirectory(),
      devices,
      interval: flags.interval,
      duration: flags.duration ?? null,
      stop: stop.signal,
    },
    reporter,
  )
  if (result === null) {
    const what =
      devices.length === 0 ? 'no ixy-ts is running' : `no running ixy-ts has ${devices.join(' or ')}`
    const error = new IxyError('IXY_ERR_NOTHING_TO_SHOW', what, 'start ixy-ts forward or pktgen first')
    if (flags.json) output.line(failedEnd(error))
    return reportFailure(error, false, flags.color)
  }
  reporter.end({ ...result, active: result.elapsed, virtual: [], loss: null, error: null })
  return 0
}
