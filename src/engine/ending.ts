/** The end of a run: what may ask for it, and how long it may take. A stop is a stop, whatever doesn't answer. */
import { endWaitsAt } from '../linux/poll.ts'
import type { EndReason, RunOptions } from './types.ts'
import { Watchdog } from './watchdog.ts'

/** Milliseconds after a signal or --duration until all is given back; then the watchdog ends the process. */
const ALLOWED = 1_700
/** The same with physical cards: the kernel's driver takes its time to take one back. */
const ALLOWED_CARD = 5_000
/** The same where nobody is in a hurry: captures may be written to a slow disk, for 30 s at most (src/captures). */
const ALLOWED_UNHURRIED = 45_000
/** Milliseconds from the beginning of a hurried end until … */
export const DEADLINES = {
  /** what an app has sent has come back to it, … */
  back: 500,
  /** nothing is waited for any more that is under way in virtual cards, … */
  settled: 900,
  /** the workers have emptied their rings, … */
  drained: 1_150,
  /** captures hold what was sent, … */
  flushed: 1_200,
  /** the virtual cards have told their counts, … */
  reported: 1_250,
  /** the app has done what is left, … */
  finished: 1_200,
  /** and the virtual cards have closed their files. */
  closed: 1_350,
} as const
/** Milliseconds for workers to empty their rings where nobody is in a hurry. */
export const DRAIN_DEADLINE = 2_000
/** Milliseconds in which vfio-user servers may answer at the end. */
const SERVERS = 800
const LOOK_EVERY = 20

export class Ending {
  readonly stop: AbortSignal
  readonly watchdog: Watchdog
  private readonly duration: number | null
  private readonly allowed: number
  private readonly onlyVirtual: boolean
  private begunAt: number | null = null
  private hurried = false

  constructor(
    { devices, duration, mode }: Pick<RunOptions, 'devices' | 'duration' | 'mode'>,
    stop: AbortSignal,
  ) {
    this.stop = stop
    this.watchdog = new Watchdog(mode !== 'poll')
    this.duration = duration
    this.allowed = devices.every((name) => /^(virtual|vfio-user):/.test(name)) ? ALLOWED : ALLOWED_CARD
    this.onlyVirtual = devices.every((name) => name.startsWith('virtual:'))
    stop.addEventListener('abort', this.hurry)
    if (stop.aborted) this.hurry()
  }

  /** Packets flow, and will for the duration, if there is one. */
  started(): void {
    if (this.duration === null || this.stop.aborted) return
    const milliseconds = this.duration * 1000
    this.watchdog.expectEndWithin(milliseconds + this.allowed)
    endWaitsAt(performance.now() + milliseconds + SERVERS)
  }

  /**
   * The run is over. Who waits for nothing but captures of its own virtual devices is in no hurry until a signal comes;
   * devices of others, and physical cards, are given back at once when the time is over.
   */
  begins(reason: EndReason): void {
    if (this.begunAt !== null) return
    if (reason === 'duration' && !this.onlyVirtual) return this.hurry()
    this.begunAt = performance.now()
    this.watchdog.expectEndWithin(ALLOWED_UNHURRIED)
    endWaitsAt(this.begunAt + ALLOWED_UNHURRIED)
  }

  /** True if nobody may wait any more: `by` milliseconds from the beginning of a hurried end are over. */
  late(by: number): boolean {
    return this.hurried && performance.now() > (this.begunAt ?? 0) + by
  }

  /** Milliseconds until then; `unhurried` if nobody is in a hurry. */
  left(by: number, unhurried: number): number {
    return this.hurried ? Math.max(0, (this.begunAt ?? 0) + by - performance.now()) : unhurried
  }

  /** `work`, or null when it is late() before. */
  async inTime<T>(work: Promise<T>, by: number): Promise<T | null> {
    let looks: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => {
      looks = setInterval(() => {
        if (this.late(by)) resolve(null)
      }, LOOK_EVERY)
    })
    try {
      return await Promise.race([work, late])
    } finally {
      clearInterval(looks)
    }
  }

  /** All is given back. */
  over(): void {
    this.stop.removeEventListener('abort', this.hurry)
    this.watchdog.close()
    endWaitsAt(Infinity)
  }

  private readonly hurry = (): void => {
    this.hurried = true
    this.begunAt = performance.now()
    this.watchdog.heard()
    this.watchdog.expectEndWithin(this.allowed)
    endWaitsAt(this.begunAt + SERVERS)
  }
}
