/** Who else has had the CPUs: processes and threads of the kernel, by what /proc says before and after. */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ. */
const TICK = 10

export interface Other {
  readonly name: string
  readonly milliseconds: number
}

export class Others {
  private readonly before = looked()

  /** Since the constructor, but for the processes `known`, most first. What has come and gone meanwhile isn't seen. */
  since(known: readonly number[]): Other[] {
    const sums = new Map<string, number>()
    for (const [pid, { name, ticks }] of looked()) {
      const spent = ticks - (this.before.get(pid)?.ticks ?? 0)
      if (spent > 0 && !known.includes(pid)) sums.set(name, (sums.get(name) ?? 0) + spent * TICK)
    }
    return [...sums]
      .map(([name, milliseconds]) => ({ name, milliseconds }))
      .sort((a, b) => b.milliseconds - a.milliseconds)
  }
}

function looked(): Map<number, { name: string; ticks: number }> {
  const found = new Map<number, { name: string; ticks: number }>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const text = readFileSync(`/proc/${entry}/stat`, 'latin1')
      const end = text.lastIndexOf(')')
      const fields = text.slice(end + 2).split(' ')
      const name = text.slice(text.indexOf('(') + 1, end)
      found.set(Number(entry), { name, ticks: Number(fields[11]) + Number(fields[12]) })
    } catch {
      // It has ended.
    }
  }
  return found
}
