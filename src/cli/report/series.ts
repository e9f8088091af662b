/** Intervals of a run of any length in bounded memory: where they become too many, neighbours are merged, and no count is lost. */
import type { Flow, Stretch } from './model.ts'

export interface Counted {
  readonly rx: { readonly packets: number; readonly bytes: number }
  readonly tx: { readonly packets: number; readonly bytes: number }
  readonly dropped: Readonly<Record<string, number>>
}

export class Series {
  readonly stretches: Stretch[] = []
  private readonly most: number
  /** Intervals in a stretch. */
  private each = 1
  /** Intervals in the last one. */
  private inLast = 0

  /** Keeps at most `most` stretches, at least half as many. */
  constructor(most: number) {
    this.most = most
  }

  /** How many intervals have become one. */
  get merged(): number {
    return this.each
  }

  add(end: number, seconds: number, { rx, tx, dropped }: Counted): void {
    const stretch = { end, seconds, rx: flow(rx, seconds), tx: flow(tx, seconds), dropped }
    const last = this.stretches.at(-1)
    if (last !== undefined && this.inLast < this.each) {
      this.stretches[this.stretches.length - 1] = joined(last, stretch)
      this.inLast++
      return
    }
    this.stretches.push(stretch)
    this.inLast = 1
    if (this.stretches.length > this.most) this.halve()
  }

  private halve(): void {
    const { stretches } = this
    const halved: Stretch[] = []
    for (let i = 0; i < stretches.length; i += 2)
      halved.push(i + 1 < stretches.length ? joined(stretches[i], stretches[i + 1]) : stretches[i])
    if (stretches.length % 2 === 0) this.inLast += this.each
    this.each *= 2
    stretches.splice(0, stretches.length, ...halved)
  }
}

function flow({ packets, bytes }: { packets: number; bytes: number }, seconds: number): Flow {
  const rate = seconds > 0 ? packets / seconds : 0
  return { packets, bytes, low: rate, high: rate }
}

function joined(a: Stretch, b: Stretch): Stretch {
  return {
    end: b.end,
    seconds: a.seconds + b.seconds,
    rx: both(a.rx, b.rx),
    tx: both(a.tx, b.tx),
    dropped: plus(a.dropped, b.dropped),
  }
}

function both(a: Flow, b: Flow): Flow {
  return {
    packets: a.packets + b.packets,
    bytes: a.bytes + b.bytes,
    low: Math.min(a.low, b.low),
    high: Math.max(a.high, b.high),
  }
}

type Counters = Readonly<Record<string, number>>

export function plus(a: Counters, b: Counters): Counters {
  const sum: Record<string, number> = { ...a }
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + count
  return sum
}

export function minus(a: Counters, b: Counters): Counters {
  const rest: Record<string, number> = { ...a }
  for (const [name, count] of Object.entries(b)) rest[name] = (rest[name] ?? 0) - count
  return rest
}
