/** What `ixy-ts doctor` finds, for people and for scripts. */
import type { ChalkInstance } from 'chalk'
import type { IxyError } from '../../errors.ts'
import type { Diagnosis } from './card.ts'
import { type Finding, obstacleOf } from './finding.ts'

/** `machine`: what concerns every run. */
export function diagnosisLines(diagnosis: Diagnosis, chalk: ChalkInstance): string[] {
  const error = obstacleOf(diagnosis.findings)
  const verdict =
    error === null
      ? chalk.green(`a run can start${diagnosis.access === null ? '' : `, by ${diagnosis.access}`}`)
      : chalk.red(`a run would end with ${error.code}`)
  return [chalk.bold(diagnosis.device), ...findingLines(diagnosis.findings, chalk), `  ${verdict}`, '']
}

export function findingLines(findings: readonly Finding[], chalk: ChalkInstance): string[] {
  const colours = { ok: chalk.green, warn: chalk.yellow, fail: chalk.red }
  return findings.flatMap(({ check, status, text, commands }) => [
    `  ${colours[status](status.padEnd(4))}  ${check.padEnd(10)}  ${text}`,
    ...commands.map((command) => `${' '.repeat(20)}$ ${command}`),
  ])
}

/** `device`: null for what concerns the whole machine. */
export function findingObject(
  device: string | null,
  { check, status, text, commands, error }: Finding,
): string {
  return JSON.stringify({ event: 'check', device, check, status, text, commands, code: error?.code ?? null })
}

export function verdictObject({ device, access, findings }: Diagnosis): string {
  const error = obstacleOf(findings)
  return JSON.stringify({ event: 'verdict', device, access, usable: error === null, error: reasonOf(error) })
}

function reasonOf(error: IxyError | null): { code: string; message: string } | null {
  return error === null ? null : { code: error.code, message: error.message }
}
