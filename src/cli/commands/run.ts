/** `ixy-ts run`: an app of the user's own. */
import type { Command } from 'commander'
import type { App } from '../../engine/app.ts'
import { loadApp } from '../../engine/app-file.ts'
import { aborted } from '../../engine/wait.ts'
import { isIxyError, usageError } from '../../errors.ts'
import { counted } from '../../wording.ts'
import { checkDevices } from '../device-argument.ts'
import type { Finish } from '../finish.ts'
import { type RunFlags, addRunOptions, commonRunOptions } from '../options.ts'
import { earlyEnd } from '../output/json.ts'
import { ownFindings } from '../output/own-findings.ts'
import { dataOutlet } from '../output/stdout.ts'
import { type Wording, runApp } from '../run-app.ts'
import { listenForStop } from '../stop.ts'

const EXAMPLES = `
The file's default export is the app: which ports it needs, and a function that moves packets between them. It may be
anywhere; import { ... } from 'ixy-ts' in it is this very ixy-ts. TypeScript runs with Node.js 22.18 or newer, with an older
one JavaScript does (.mjs, .js). What follows -- is for the app.

Examples:
  ixy-ts run ./reflect.ts virtual:gen --duration 10
  ixy-ts run ./reflect.mjs virtual:gen -d 10 --json --expect-mpps 0.1
  ixy-ts run ./reflect.mjs virtual:gen -d 10 --check
  sudo ixy-ts run ./reflect.mjs 0000:03:00.0 --queues 2
  ixy-ts run <app-file> virtual:tap=a virtual:tap=b -- <options of the app>`

export function addRun(program: Command, finish: Finish): void {
  const command = program
    .command('run')
    .description('Run an app of your own, a TypeScript or JavaScript file')
    .usage('[options] <app-file> <device...> [-- <app options>]')
    .argument('<app-file>', 'a file whose default export is an app')
    .argument(
      '<device...>',
      'PCI addresses, vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>, as many as the app takes',
    )
    .addHelpText('after', EXAMPLES)
  addRunOptions(command).action(async (file: string, operands: string[], flags: RunFlags) => {
    const common = commonRunOptions(flags)
    const argv = argumentsOfApp()
    // commander has taken them for devices.
    const devices = checkDevices(operands.slice(0, operands.length - argv.length))
    const stop = listenForStop()
    // Loading takes as long as the file likes: it may wait for something.
    const app = await Promise.race([loadApp(file), aborted(stop.signal)])
    if (app === undefined) {
      if (flags.json) dataOutlet().write(`${earlyEnd(null)}\n`)
      return finish(0)
    }
    checkPorts(app, devices.length)
    const options = { ...common, devices, app: { app, file }, appOptions: readOptions(app, argv) }
    const wording: Wording = {
      headline: ({ packets, rate }) => `${app.name} sent ${packets} (${rate})`,
      // Nobody knows how much it makes of what comes in, unless it says so.
      flatOut: app.passes === undefined,
      findings: (result, counters) => ownFindings(app.name, result, counters),
    }
    finish(await runApp(options, flags, wording, stop))
  })
}

/** What stands behind `--`. */
function argumentsOfApp(): readonly string[] {
  const at = process.argv.indexOf('--')
  return at < 0 ? [] : process.argv.slice(at + 1)
}

function checkPorts({ name, ports: { min, max } }: App, given: number): void {
  if (given >= min && given <= max) return
  const wanted = min === max ? counted(min, 'device') : `${min} to ${counted(max, 'device')}`
  throw usageError(`app ${name} takes ${wanted}, not ${given}`, `give ${wanted}`)
}

function readOptions(app: App, argv: readonly string[]): unknown {
  if (app.options === undefined) {
    if (argv.length === 0) return {}
    throw usageError(`app ${app.name} takes no options (${argv[0]})`, 'leave out what follows --')
  }
  try {
    return app.options(argv)
  } catch (error) {
    if (isIxyError(error)) throw error
    const [message] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw usageError(`app ${app.name}: ${message}`, '')
  }
}
