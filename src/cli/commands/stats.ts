import path from 'node:path'
import type { Command } from 'commander'
import { bundleOrNull } from '../../bundles.ts'
import { everyInterval } from '../../engine/intervals.ts'
import { IxyError, usageError } from '../../errors.ts'
import { runtimeDirectory } from '../../linux/runtime-dir.ts'
import { Undo } from '../../undo.ts'
import { parseDevice } from '../../pci/address.ts'
import { deviceName } from '../device-argument.ts'
import { reportFailure } from '../failure.ts'
import { type Log, createLog } from '../log.ts'
import { earlyEnd } from '../output/json.ts'
import { type WatchFlags, addWatchOptions } from '../options.ts'
import { Collector } from '../monitor/collector.ts'
import { DpdkServer, filePrefix } from '../monitor/dpdk-server.ts'
import { showLive } from '../monitor/live.ts'
import { MonitorServer } from '../monitor/http-server.ts'
import { type ListenAddress, listenAddress } from '../monitor/listen-address.ts'
import { createReporter } from '../output/create.ts'
import { stdout } from '../output/outlet.ts'
import { type Output, chalkFor, openStdout } from '../output/stdout.ts'
import { counted } from '../../wording.ts'
import { totalsLines, totalsObject } from '../output/totals.ts'
import type { Finish } from '../finish.ts'
import { listenForStop } from '../stop.ts'
import type { SearchOptions } from '../running.ts'
import { totals, watch } from '../watch.ts'

const EXAMPLES = `
Examples:
  ixy-ts stats                       every running ixy-ts on this machine, once a second
  ixy-ts stats virtual:gen -d 5      one device, for five seconds
  ixy-ts stats --json -i 0.5         one JSON object per device and half second
  watch ixy-ts stats                 what has been counted so far, again and again
  ixy-ts stats --live                a screen that follows them all; q ends it
  ixy-ts stats --listen 9977         Prometheus, JSON and a page for browsers at http://127.0.0.1:9977/
  ixy-ts stats --dpdk-telemetry      for dpdk-telemetry.py -f ixy-ts
  ixy-ts stats -i 1 | tee log        lines also when stdout is no terminal

Shows the processes of this user that have the same runtime directory: $IXY_TS_RUNTIME_DIR, or /run/ixy-ts for
root, or $XDG_RUNTIME_DIR/ixy-ts, or /tmp/ixy-ts-<uid>. So sudo ixy-ts stats shows root's. One that is stopped is named.
Ends at a signal, after --duration, or when all it has watched have ended. Where stdout is no terminal, --once goes
without saying unless -i, -d or --json is given. With nothing to show it exits 3; --live, --listen and
--dpdk-telemetry, which go together, wait for what comes.
More about them: docs/monitoring.md.`

/** Where no DPDK application is. */
const OWN_PREFIX = 'ixy-ts'

interface StatsFlags extends WatchFlags {
  readonly once: boolean
  readonly live: boolean
  readonly listen?: ListenAddress
  /** true: where nobody else would be. */
  readonly dpdkTelemetry?: string | true
}

export function addStats(program: Command, finish: Finish): void {
  const command = program
    .command('stats')
    .description('Show the counters of every running ixy-ts on this machine, or of the named devices')
    .argument('[device...]', 'devices as they were given to the command that runs them')
    .addHelpText('after', EXAMPLES)
    .option('--once', 'print what has been counted so far, and end', false)
    .option(
      '--live',
      'a screen of rates, drops and links; without a terminal that can, --once again and again',
      false,
    )
    .option(
      '--listen <[address:]port>',
      'serve /metrics, /stats.json, /events and a page; to this machine alone unless an address says otherwise',
      listenAddress,
    )
    .option(
      '--dpdk-telemetry [prefix]',
      `serve DPDK's telemetry, for dpdk-telemetry.py -f <prefix> (default: ${OWN_PREFIX})`,
      filePrefix,
    )
  addWatchOptions(command).action(async (devices: string[], flags: StatsFlags) => {
    checkTogether(flags)
    const names = devices.map(deviceName)
    if (waysOf(flags).length > 0) return finish(await collect(names, flags))
    const paced = ['interval', 'duration', 'json'].some(
      (name) => command.getOptionValueSource(name) === 'cli',
    )
    const once = flags.once || !(stdout.terminal || paced)
    finish(await (once ? show : follow)(names, flags))
  })
}

async function show(devices: readonly string[], flags: WatchFlags): Promise<number> {
  const search = searchFor(devices, createLog(flags.logLevel, flags.color))
  const output = openStdout(flags.color, () => undefined)
  return (await print(search, flags, output)) ? 0 : failed(nothingToShow(devices, search), flags)
}

/** False, and no line, if nothing runs. */
async function print(search: SearchOptions, flags: WatchFlags, output: Output): Promise<boolean> {
  const found = await totals(search)
  if (found.devices.length === 0) return false
  if (flags.json) output.line(totalsObject(found))
  else for (const line of totalsLines(found, output.chalk)) output.line(line)
  return true
}

async function follow(devices: readonly string[], flags: WatchFlags): Promise<number> {
  const stop = listenForStop()
  const output = openStdout(flags.color, stop.stop)
  const search = searchFor(devices, createLog(flags.logLevel, flags.color))
  const reporter = createReporter(
    'stats',
    flags,
    output,
    ({ devices }) => `watched ${counted(devices.filter(({ queue }) => queue === null).length, 'device')}`,
  )
  const { interval, duration = null } = flags
  const result = await watch({ ...search, interval, duration, stop: stop.signal }, reporter)
  if (result === null) return failed(nothingToShow(devices, search), flags)
  reporter.end({ ...result, active: result.elapsed, virtual: [], loss: null, error: null })
  return 0
}

/** Those that follow whatever runs, and go together. */
function waysOf({ live, listen, dpdkTelemetry }: StatsFlags): string[] {
  const all = {
    '--live': live,
    '--listen': listen !== undefined,
    '--dpdk-telemetry': dpdkTelemetry !== undefined,
  }
  return Object.entries(all).flatMap(([way, given]) => (given ? [way] : []))
}

function checkTogether(flags: StatsFlags): void {
  const [way] = waysOf(flags)
  const other = flags.once ? '--once' : flags.json ? '--json' : null
  if (way === undefined || other === null) return
  throw usageError(
    `${way} doesn't go with ${other}`,
    'leave one of them out; --listen serves JSON at /stats.json',
  )
}

/** Shows and serves whatever runs, until a signal, `q` or the end of the duration. */
async function collect(devices: readonly string[], flags: StatsFlags): Promise<number> {
  const { listen, live, dpdkTelemetry, interval, duration = null } = flags
  const chalk = chalkFor(stdout, flags.color)
  const screen = live && chalk.level > 0
  if (live && !screen && waysOf(flags).length === 1) return repeat(devices, flags)
  const stop = listenForStop()
  if (screen) stdout.onUnwritable(stop.stop)
  // The screen says itself who doesn't answer.
  const log = createLog(screen ? 'silent' : flags.logLevel, flags.color)
  const search = searchFor(devices, log)
  const collector = new Collector({ ...search, interval, duration, stop: stop.signal })
  const undo = new Undo()
  try {
    let served = ''
    if (listen !== undefined) {
      const server = await MonitorServer.listen(listen, collector, bundleOrNull('live.html'))
      undo.push(() => server.close())
      served = server.url
      log.info(`listening on ${served}`)
    }
    if (dpdkTelemetry !== undefined) {
      const prefix = dpdkTelemetry === true ? OWN_PREFIX : dpdkTelemetry
      const server = new DpdkServer(collector, prefix)
      undo.push(() => server.close())
      log.info(`listening on ${server.path}: dpdk-telemetry.py -f ${prefix}`)
    }
    if (!screen) await collector.run()
    else {
      const { message } = nothingToShow(devices, search)
      await showLive(collector, {
        outlet: stdout,
        chalk,
        stop: stop.stop,
        served,
        nothing: message,
        silent: () => collector.strangers,
      })
    }
  } finally {
    undo.runQuietly()
  }
  return 0
}

/** For terminals that can't, and for pipes: totals again and again, as long as something runs. */
async function repeat(devices: readonly string[], flags: WatchFlags): Promise<number> {
  const stop = listenForStop()
  const output = openStdout(flags.color, stop.stop)
  const search = searchFor(devices, createLog(flags.logLevel, flags.color))
  if (!(await print(search, flags, output))) return failed(nothingToShow(devices, search), flags)
  const { interval: seconds, duration = Infinity } = flags
  await everyInterval({ start: performance.now(), seconds, duration }, stop.signal, () => {
    output.line('')
    return print(search, flags, output)
  })
  return 0
}

function failed(error: IxyError, flags: WatchFlags): number {
  if (flags.json) stdout.write(`${earlyEnd(error)}\n`)
  return reportFailure(error, false, flags.color)
}

/** `silent` collects the processes that don't answer. */
function searchFor(devices: readonly string[], log: Log): SearchOptions & { readonly silent: string[] } {
  const silent: string[] = []
  return {
    silent,
    directory: runtimeDirectory(),
    devices: devices.flatMap(namesOf),
    onSilence: ({ pid, command }, silence) => {
      const process = `pid ${pid}${command === '' ? '' : ` (${command})`}`
      if (silence === null) return log.info(`${process} answers again`)
      const state = silence === 'stopped' ? 'is stopped' : "doesn't answer"
      silent.push(`${process} ${state}`)
      const until = silence === 'stopped' ? `it goes on (kill -CONT ${pid})` : 'it does'
      log.warn(`${process} ${state}: no counters of it until ${until}`)
    },
  }
}

/** `ixy-ts vnic` calls its NIC by the full path of the socket. */
function namesOf(device: string): string[] {
  const address = parseDevice(device)
  return 'socket' in address ? [device, `${address.kind}:${path.resolve(address.socket)}`] : [device]
}

function nothingToShow(
  devices: readonly string[],
  { directory, silent }: { readonly directory: string; readonly silent: readonly string[] },
): IxyError {
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
