import path from 'node:path'
import type { Command } from 'commander'
import { IxyError } from '../../errors.ts'
import { runtimeDirectory } from '../../linux/runtime-dir.ts'
import { parseDevice } from '../../pci/address.ts'
import { deviceName } from '../device-argument.ts'
import { reportFailure } from '../failure.ts'
import { createLog } from '../log.ts'
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

Shows the processes of this user that have the same runtime directory: $IXY_TS_RUNTIME_DIR, or /run/ixy-ts for
root, or $XDG_RUNTIME_DIR/ixy-ts, or /tmp/ixy-ts-<uid>. So sudo ixy-ts stats shows root's. One that is stopped is named.
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
  const log = createLog(flags.logLevel, flags.color)
  const reporter = createReporter(
    'stats',
    flags,
    output,
    ({ devices }) => `watched ${counted(devices.filter(({ queue }) => queue === null).length, 'device')}`,
  )
  const directory = runtimeDirectory()
  const silent: string[] = []
  const result = await watch(
    {
      directory,
      devices: devices.flatMap(namesOf),
      interval: flags.interval,
      duration: flags.duration ?? null,
      stop: stop.signal,
      onSilence: ({ pid, command }, silence) => {
        const process = `pid ${pid}${command === '' ? '' : ` (${command})`}`
        if (silence === null) return log.info(`${process} answers again`)
        const state = silence === 'stopped' ? 'is stopped' : "doesn't answer"
        silent.push(`${process} ${state}`)
        const until = silence === 'stopped' ? `it goes on (kill -CONT ${pid})` : 'it does'
        log.warn(`${process} ${state}: no counters of it until ${until}`)
      },
    },
    reporter,
  )
  if (result === null) {
    const error = nothingToShow(devices, directory, silent)
    if (flags.json) output.line(failedEnd(error))
    return reportFailure(error, false, flags.color)
  }
  reporter.end({ ...result, active: result.elapsed, virtual: [], loss: null, error: null })
  return 0
}

/** `ixy-ts vnic` calls its NIC by the full path of the socket. */
function namesOf(device: string): string[] {
  const address = parseDevice(device)
  return address.kind === 'vfio-user' ? [device, `vfio-user:${path.resolve(address.socket)}`] : [device]
}

function nothingToShow(devices: readonly string[], directory: string, silent: readonly string[]): IxyError {
  const who = devices.length === 0 ? 'no running ixy-ts' : `no running ixy-ts with ${devices.join(' or ')}`
  if (silent.length > 0)
    return new IxyError(
      'IXY_ERR_NOTHING_TO_SHOW',
      `${who} answers in ${directory}: ${silent.join(', ')}`,
      'let it go on (kill -CONT), or end it (kill -KILL)',
    )
  const others =
    process.getuid?.() === 0
      ? 'sudo -u <user> ixy-ts stats for those of a user'
      : "sudo ixy-ts stats for root's"
  return new IxyError(
    'IXY_ERR_NOTHING_TO_SHOW',
    `${who} has a socket in ${directory}`,
    `start ixy-ts forward or pktgen first, or look elsewhere: ${others}, ` +
      'IXY_TS_RUNTIME_DIR=<directory> ixy-ts stats for those with another runtime directory',
  )
}
