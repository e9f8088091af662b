import type { Command } from 'commander'
import { DRIVERS } from '../../driver/registry.ts'
import { type NicInfo, listNics } from '../../pci/nics.ts'
import { createLog } from '../log.ts'
import { type OutputFlags, addOutputOptions } from '../options.ts'
import { type Output, openStdout } from '../output/stdout.ts'
import type { Finish } from '../finish.ts'

const EXAMPLES = `
Examples:
  ixy-ts devices
  ixy-ts devices --json | jq -r 'select(.usable).address'`

export function addDevices(program: Command, finish: Finish): void {
  const command = program
    .command('devices')
    .description(
      'List the NICs here: address, model, driver, link, NUMA node, IOMMU group, usable or why not',
    )
    .addHelpText('after', EXAMPLES)
  addOutputOptions(command).action((flags: OutputFlags) => {
    const output = openStdout(flags.color, () => undefined)
    const nics = listNics(DRIVERS)
    const lines = flags.json ? nics.map(nicObject) : nicTable(nics, output.chalk)
    for (const line of lines) output.line(line)
    if (nics.length === 0)
      createLog(flags.logLevel, flags.color).info('this machine has no Ethernet NIC on PCI')
    finish(0)
  })
}

export function nicObject(nic: NicInfo): string {
  const { obstacle, ...facts } = nic
  const reason = obstacle === null ? null : { code: obstacle.code, message: obstacle.message }
  return JSON.stringify({ event: 'device', ...facts, usable: obstacle === null, reason })
}

const HEADER = ['ADDRESS', 'MODEL', 'DRIVER', 'INTERFACE', 'LINK', 'NUMA', 'IOMMU', 'USABLE']

export function nicTable(nics: readonly NicInfo[], chalk: Output['chalk']): string[] {
  if (nics.length === 0) return []
  const rows = nics.map((nic) => [
    nic.address,
    nic.model,
    nic.driver ?? '-',
    nic.interfaces.length === 0 ? '-' : nic.interfaces.join(' '),
    linkText(nic.linkMbit),
    nic.numaNode < 0 ? '-' : String(nic.numaNode),
    nic.iommuGroup ?? '-',
    nic.obstacle === null ? `yes, by ${nic.access}` : `no: ${nic.obstacle.message}`,
  ])
  const widths = HEADER.map((name, column) =>
    Math.max(...[name, ...rows.map((row) => row[column])].map(length)),
  )
  const aligned = [HEADER, ...rows].map((row) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]))).join('  '),
  )
  return aligned.map((line, i) => (i === 0 ? chalk.bold(line) : line))
}

function linkText(mbit: number | null): string {
  if (mbit === null) return '-'
  return mbit === 0 ? 'down' : `${mbit} Mbit/s`
}

function length(text: string): number {
  return text.length
}
