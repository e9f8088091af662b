/** `--report` and `--csv` of a run: what `--json` would say is gathered while it runs, and written at its end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { IxyError, asIxyError, usageError } from '../../errors.ts'
import { VERSION } from '../../version.ts'
import { JsonReporter } from '../output/json.ts'
import type { EndReport, Reporter } from '../output/reporter.ts'
import { csv } from './csv.ts'
import { TOLERANCE, reportPage } from './page.ts'
import { RunRecord } from './record.ts'
import { SafeFile } from './safe-file.ts'

export interface ReportFlags {
  readonly report?: string
  readonly csv?: string
}

/** Milliseconds that a disk may take. */
const DEADLINE = 10_000

export class RunReport {
  /** To be told what the run's own reporter is told; null: nothing is to be written. */
  readonly reporter: Reporter | null
  private readonly record = new RunRecord()
  private readonly command: string
  private readonly page: SafeFile | null
  private readonly table: SafeFile | null

  /** Throws IXY_ERR_FILE or IXY_ERR_USAGE for files that can't be written. */
  constructor(command: string, { report, csv: table }: ReportFlags) {
    this.command = command
    for (const [option, file] of [
      ['--report', report],
      ['--csv', table],
    ])
      if (file === '-')
        throw usageError(`${option} - is not valid: stdout has the run's own output`, 'name a file')
    if (report !== undefined && report === table)
      throw usageError(`--report and --csv have the same file, ${report}`, 'name two')
    this.page = report === undefined ? null : new SafeFile(report)
    this.table = table === undefined ? null : new SafeFile(table)
    const add = (line: string): void => {
      const object = JSON.parse(line) as { event: string }
      this.record.add(object.event, object)
    }
    const lines = { line: add, intervalLine: add, dropped: 0 }
    const wanted = this.page !== null || this.table !== null
    this.reporter = wanted ? new JsonReporter(lines, command, VERSION, false) : null
  }

  /** Writes what was asked for; returns the names of the files, or why one could not be written. */
  async write(end: EndReport): Promise<readonly string[] | IxyError> {
    const { page, table } = this
    if (this.reporter === null) return []
    const files = [page, table].filter((file) => file !== null)
    try {
      this.reporter.end(end)
      const runs = [this.record.data(this.command)]
      const written = Promise.all([page?.write(reportPage(runs, TOLERANCE)), table?.write(csv(runs))])
      const late = sleep(DEADLINE, true, { ref: false })
      if ((await Promise.race([written, late])) === true)
        throw new IxyError('IXY_ERR_OUTPUT', `${files[0].name} could not be written in ${DEADLINE / 1000} s`)
      return files.map(({ name }) => name)
    } catch (error) {
      return asIxyError(error)
    }
  }
}
