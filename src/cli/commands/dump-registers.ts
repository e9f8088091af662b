import type { Command } from 'commander'
import type { DumpedRegister } from '../../driver/driver.ts'
import { DRIVERS } from '../../driver/registry.ts'
import { VirtualNics } from '../../engine/virtual.ts'
import { runtimeDirectoryOrNull } from '../../linux/runtime-dir.ts'
import { parseDevice } from '../../pci/address.ts'
import { peek } from '../../pci/peek.ts'
import { checkDevices } from '../device-argument.ts'
import { type OutputFlags, addOutputOptions } from '../options.ts'
import { openStdout } from '../output/stdout.ts'
import type { Finish } from '../finish.ts'

const EXAMPLES = `
The card stays with its driver. Registers that reading would change (statistics, interrupt causes) are listed without
a value; of arrays only entries that differ from their value after a reset are shown.

Examples:
  sudo ixy-ts --dump-registers 0000:03:00.0
  ixy-ts --dump-registers virtual:sink --json`

/** `ixy-ts --dump-registers <device>`: written like an option, as main.ts takes it, but a command of its own. */
export function addDumpRegisters(program: Command, finish: Finish): void {
  const command = program
    .command('dump-registers')
    .argument('<device>', 'a PCI function, vfio-user:<socket> or virtual:<wire>')
    .description(
      'Print the registers of a card, with names and decoded fields (also: --dump-registers <device>)',
    )
    .option('--force', 'also of an unknown model', false)
    .addHelpText('after', EXAMPLES)
  addOutputOptions(command).action(async (text: string, flags: OutputFlags & { force: boolean }) => {
    const [device] = checkDevices([text]).map(parseDevice)
    const virtual =
      device.kind === 'virtual'
        ? await VirtualNics.start(runtimeDirectoryOrNull(), [{ name: text, wire: device.wire }])
        : null
    try {
      const target = virtual === null ? device : ({ kind: 'vfio-user', socket: virtual.sockets[0] } as const)
      const registers = peek(target, { ...flags, known: DRIVERS })
      const { driver } = DRIVERS.driverOf(text, registers.ids, flags.force)
      const output = openStdout(flags.color, () => undefined)
      for (const entry of driver.dump(registers)) {
        output.line(flags.json ? registerObject(entry) : registerLine(entry))
      }
      registers.close()
    } finally {
      await virtual?.close()
    }
    finish(0)
  })
}

export function registerObject({
  name,
  offset,
  value,
  fields,
  description,
  section,
}: DumpedRegister): string {
  return JSON.stringify({ event: 'register', name, offset, value, fields, description, section })
}

export function registerLine({ name, offset, value, fields, description }: DumpedRegister): string {
  const shown = value === null ? '(not read)' : `0x${value.toString(16).padStart(8, '0')}`
  const decoded = Object.entries(fields).map(([field, part]) =>
    part === 1 ? field : `${field}=0x${part.toString(16)}`,
  )
  const place = `0x${offset.toString(16).padStart(5, '0')}`
  return `${place}  ${name.padEnd(14)}  ${shown}  ${description}${decoded.length > 0 ? `: ${decoded.join(' ')}` : ''}`
}
