/** What `ixy-ts doctor` finds. */
import { asIxyError, type IxyError } from '../../errors.ts'
import { allowedCpus } from '../../linux/affinity.ts'
import type { Roots } from '../../pci/function.ts'
import { ownRights, type Rights } from '../../pci/requirements.ts'

export interface Finding {
  /** What was looked at, by a stable name. */
  readonly check: string
  /** `warn`: a run starts, but could be better; `fail`: it ends with `error`. */
  readonly status: 'ok' | 'warn' | 'fail'
  readonly text: string
  /** What to do, line by line, in a shell; [] where there is nothing to do, or no command for it. */
  readonly commands: readonly string[]
  readonly error: IxyError | null
}

/** The machine that is looked at: this one, or one of a test. */
export interface Machine {
  readonly roots: Roots
  readonly rights: Rights
  /** CPUs that this process may run on. */
  readonly cpus: readonly number[]
  /** As in /proc/cpuinfo: `GenuineIntel`. */
  readonly cpuInfo: string
}

export function thisMachine(cpuInfo: string, roots: Roots = {}): Machine {
  return { roots, rights: ownRights(), cpus: allowedCpus(), cpuInfo }
}

export function ok(check: string, text: string): Finding {
  return { check, status: 'ok', text, commands: [], error: null }
}

export function warn(check: string, text: string, commands: readonly string[] = []): Finding {
  return { check, status: 'warn', text, commands, error: null }
}

export function fail(check: string, error: IxyError): Finding {
  return { check, status: 'fail', text: error.message, commands: error.commands, error }
}

/** `fail` with what `attempt` throws; else what `good` says. */
export function judge(check: string, attempt: () => void, good: () => Finding): Finding {
  try {
    attempt()
  } catch (error) {
    return fail(check, asIxyError(error))
  }
  return good()
}

/** What a run would end with: the first that fails. */
export function obstacleOf(findings: readonly Finding[]): IxyError | null {
  return findings.find(({ error }) => error !== null)?.error ?? null
}
