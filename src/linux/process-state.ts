/** What the kernel says of other processes (proc_pid_stat(5)). */
import { readlinkSync } from 'node:fs'
import { listNames, readText } from './sysfs.ts'

export interface ProcessState {
  /** `R` running, `S` asleep, `D` waiting for a disk, `T` stopped by a signal, `Z` dead… */
  readonly state: string
  /** CPU time it has used, in clock ticks (mostly 1/100 s). */
  readonly ticks: number
}

/** Null if there is no such process in this pid namespace. */
export function processState(pid: number): ProcessState | null {
  const text = readText(`/proc/${pid}/stat`)
  if (text === null) return null
  // The name in parentheses may hold anything, also spaces and parentheses. Field 3 is the state, 14 and 15 are times.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0], ticks: Number(fields[11]) + Number(fields[12]) }
}

/** True if it was stopped by a signal (SIGSTOP, Ctrl-Z) or a debugger. */
export function isStopped(pid: number): boolean {
  return /^[Tt]$/.test(processState(pid)?.state ?? '')
}

/** Another process has the file open, as far as this user may see. */
export function isOpenElsewhere(path: string): boolean {
  return listNames('/proc').some((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    return listNames(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === path
      } catch {
        // Closed meanwhile.
        return false
      }
    })
  })
}
