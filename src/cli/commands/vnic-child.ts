import type { Command } from 'commander'
import { serveParent } from '../../vnic/child.ts'
import { usageError } from '../../option-values.ts'

/** The process behind `virtual:<wire>` devices, started by src/engine/virtual.ts. Of no use to people, so not in --help. */
export function addVnicChild(program: Command): void {
  program.command('vnic-child', { hidden: true }).action(() => {
    if (process.send === undefined)
      throw usageError('vnic-child is started by ixy-ts', 'see ixy-ts vnic --help')
    serveParent()
  })
}
