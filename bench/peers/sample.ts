/** How many packets were moved in how much time, by how much CPU. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Packets so far, at a time in seconds on any clock. */
export interface Count {
  readonly packets: number
  readonly at: number
}

export interface Sample {
  readonly packets: number
  readonly seconds: number
  /** Seconds that the machine's CPUs were not idle: of user programs, the kernel and its interrupts. */
  readonly cpuSeconds: number
  /** The share of what was sent that did not arrive, where some may be lost. */
  readonly lost?: number
}

/** For compilers and caches, before anything counts, ms. */
const WARM_UP = 1000

/** Samples what is running. */
export async function sample(count: () => Count | Promise<Count>, seconds: number): Promise<Sample> {
  await sleep(WARM_UP)
  const before = await count()
  const busyBefore = busySeconds()
  await sleep(seconds * 1000)
  const after = await count()
  return {
    packets: after.packets - before.packets,
    seconds: after.at - before.at,
    cpuSeconds: busySeconds() - busyBefore,
  }
}

/** Of /proc/stat (proc(5)), in which a second has 100 ticks. */
const TICKS = 100

/** CPU seconds since the machine's start in which it was not idle. */
function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/\s+/)
  return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS
}

/** Both ends have counted: `sent` packets, of which `arrived`, and at most `between` are still on their way. */
export function agree(what: string, sent: number, arrived: number, between = 0): void {
  if (arrived > sent || arrived < sent - between || arrived === 0)
    throw new Error(`${what}: ${sent} packets sent, ${arrived} arrived`)
}
