/** A command for each app that ixy-ts brings along. */
import type { Command } from 'commander'
import { BUILT_IN } from '../../apps/built-in.ts'
import type { AppCommand, Findings } from '../../apps/command.ts'
import { checkDevices } from '../device-argument.ts'
import type { Finish } from '../finish.ts'
import { type RunFlags, addRunOptions, commonRunOptions } from '../options.ts'
import { runApp } from '../run-app.ts'
import { sum } from '../../sum.ts'

export function addBuiltIn(program: Command, finish: Finish): void {
  for (const one of BUILT_IN) addApp(program, one, finish)
}

function addApp(program: Command, one: AppCommand, finish: Finish): void {
  const command = program.command(one.app.name).description(one.description)
  if (one.alias !== undefined) command.alias(one.alias)
  for (const [name, description, optional] of one.devices)
    command.argument(optional === undefined ? `<${name}>` : `[${name}]`, description)
  one.addOptions(command)
  command.addHelpText('after', one.examples)
  addRunOptions(command)
  one.adjustOptions?.(command)
  command.action(async () => {
    const flags = command.opts<RunFlags>()
    const common = commonRunOptions(flags)
    const operands = command.args.slice(0, one.devices.length)
    const appOptions = one.options(flags, command.args.slice(one.devices.length))
    // Captures that options name are looked at together with the devices.
    const writes = one.writes?.(appOptions) ?? null
    const devices = checkDevices(operands, { reads: one.reads?.(appOptions) ?? null, writes })
    const options = { ...common, devices, app: { app: one.app, file: null }, appOptions }
    finish(
      await runApp(options, flags, {
        headline: (moved) => one.headline(moved),
        flatOut: one.flatOut?.(appOptions) ?? false,
        takesStdout: writes?.file === '-',
        prints: one.prints?.(appOptions) ?? false,
        findings: (result, counters) => one.findings?.(result) ?? countersOf(one, counters),
        unmet: (result) => one.unmet?.(result, flags) ?? [],
      }),
    )
  })
}

/** As those of an app of the user's own. */
export function countersOf(
  { app: { name }, lossCounters = [] }: Pick<AppCommand, 'app' | 'lossCounters'>,
  counters: Readonly<Record<string, number>>,
): Findings | null {
  if (Object.keys(counters).length === 0) return null
  const lostHere = sum(lossCounters.map((counter) => counters[counter] ?? 0))
  return { json: { app: { name, counters } }, text: null, warnings: [], loss: null, lostHere }
}
