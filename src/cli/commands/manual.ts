/** `ixy-ts manual <folder>`: writes the manual pages, for those who make packages. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { VERSION } from '../../version.ts'
import type { Finish } from '../finish.ts'
import { manualPages } from '../manual/page.ts'

export function addManual(program: Command, finish: Finish): void {
  program
    .command('manual', { hidden: true })
    .argument('<folder>')
    .action((folder: string) => {
      mkdirSync(folder, { recursive: true })
      for (const { file, text } of manualPages(program, VERSION, dateOf(process.env['SOURCE_DATE_EPOCH'])))
        writeFileSync(path.join(folder, file), text)
      finish(0)
    })
}

/** Today, or the day that is to be written into what is built: https://reproducible-builds.org/specs/source-date-epoch */
function dateOf(epoch: string | undefined): string {
  return (epoch === undefined ? new Date() : new Date(Number(epoch) * 1000)).toISOString().slice(0, 10)
}
