/**
 * How long sampled packets were on the wire, by the card's clock, and how much of their round trip is this program's: what
 * happens in rings, caches and queues between its own two looks at the clock and the card's.
 */
import type { PacketStamps } from '../../driver/device.ts'
import { LatencyBook, latencyOf } from './latency.ts'
import type { TimedJob } from './options.ts'
import { MESSAGE_TYPE } from './timed-packet.ts'
import { WireDesk } from './wire-desk.ts'

/** Milliseconds from one sample to the next: each wakes this thread and has the card answer it, and packets wait meanwhile. */
const EVERY = 100
/** Milliseconds after which a packet is lost. */
const PATIENCE = 2000
/** What the card's clock may be off by, nanoseconds: a cycle at each end, of 6.4 (at 10 Gbit/s) to 640. */
const CYCLES = 2 * 640

/** Microseconds; null from where on there is nothing, or too little to say it of. */
export interface SampledTimes {
  readonly min: number | null
  readonly mean: number | null
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly p9999: number | null
  readonly max: number | null
}

/** The card's part of `pktgen --latency`. */
export interface WireLatency {
  /** Why there is none; null where there is. */
  readonly unavailable: string | null
  /** Packets sent that the card was to stamp. */
  readonly sent: number
  /** Of these, those whose times have been shown to be theirs: measured. */
  readonly count: number
  /** Did not come back intact within two seconds. */
  readonly lost: number
  /** Came back, but the card had no time for them. */
  readonly unstamped: number
  /** Came back, but what the card told was not, or not for certain, of them. */
  readonly disbelieved: number
  readonly wireMicroseconds: SampledTimes
  /** The rest of the same packets' round trips. */
  readonly programMicroseconds: SampledTimes
}

export class WireTimes {
  private readonly stamps: PacketStamps
  private readonly job: TimedJob
  private readonly desk: WireDesk
  private readonly clock: () => number
  private readonly wire = new LatencyBook(LatencyBook.allocate())
  private readonly program = new LatencyBook(LatencyBook.allocate())
  /** The packet that is asked for; 0 before the first. */
  private number = 0
  private askedAt = 0
  private counts = { sent: 0, lost: 0, unstamped: 0, disbelieved: 0 }
  /** One before it may still be in the ring: it, and not this one, may be what the card has a time of. */
  private behindLost = false
  private timer: NodeJS.Timeout | null = null

  /** `clock`: milliseconds, monotonic. */
  constructor(stamps: PacketStamps, job: TimedJob, clock: () => number = () => performance.now()) {
    this.stamps = stamps
    this.job = job
    this.desk = new WireDesk(job.desk)
    this.clock = clock
  }

  /** Packets flow. */
  begin(): void {
    this.stamps.start(this.job.port, MESSAGE_TYPE)
    this.ask()
    this.timer = setInterval(() => {
      try {
        this.look()
      } catch {
        // A device that has gone is noticed and reported by the run's watch.
        this.end()
      }
    }, EVERY)
  }

  /** Sees what has become of the packet that was asked for, and asks for the next once that is known. */
  look(): void {
    const { desk, number, counts } = this
    const roundTrip = desk.roundTrip(number)
    if (roundTrip !== null) {
      counts.sent++
      this.judge(roundTrip)
      this.behindLost = false
    } else {
      if (!desk.isSent(number) || this.clock() - this.askedAt < PATIENCE) return
      this.giveUp()
    }
    this.ask()
  }

  private ask(): void {
    this.number++
    this.askedAt = this.clock()
    this.desk.want(this.number)
  }

  private judge(roundTrip: number): void {
    const { counts, number, job } = this
    const stamped = this.stamps.take()
    if (stamped === null) {
      counts.unstamped++
      return
    }
    const { nanoseconds, sequence, source } = stamped
    const isOurs = sequence === (number & 0xffff) && source === job.source && !this.behindLost
    if (!isOurs || nanoseconds < 0 || nanoseconds > roundTrip + CYCLES) {
      counts.disbelieved++
      return
    }
    this.wire.measured(Math.round(nanoseconds))
    this.program.measured(Math.max(0, Math.round(roundTrip - nanoseconds)))
  }

  private giveUp(): void {
    this.stamps.take()
    this.counts.sent++
    this.counts.lost++
    this.behindLost = true
  }

  /** All packets are in. Asks for no more, and takes what is still to be had. */
  finish(): void {
    if (this.timer === null) return
    this.end()
    try {
      const roundTrip = this.desk.roundTrip(this.number)
      if (roundTrip !== null) {
        this.counts.sent++
        this.judge(roundTrip)
      } else if (this.desk.isSent(this.number)) this.giveUp()
    } catch {
      // As above.
    }
  }

  /** Idempotent. */
  end(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  result(): WireLatency {
    const wire = timesOf(this.wire)
    const program = timesOf(this.program)
    return {
      unavailable: null,
      ...this.counts,
      count: this.wire.histogram.total,
      wireMicroseconds: wire,
      programMicroseconds: program,
    }
  }
}

export function noWireTimes(reason: string): WireLatency {
  const none = timesOf(new LatencyBook(LatencyBook.allocate()))
  return {
    unavailable: reason,
    sent: 0,
    count: 0,
    lost: 0,
    unstamped: 0,
    disbelieved: 0,
    wireMicroseconds: none,
    programMicroseconds: none,
  }
}

/** A share of which there is less than one packet beyond is not told. */
function timesOf(book: LatencyBook): SampledTimes {
  const latency = latencyOf([book])
  const { count = 0, min = null, mean = null, p50 = null, p90 = null, p99 = null, max = null } = latency ?? {}
  const from = (least: number, value: number | null): number | null => (count >= least ? value : null)
  return {
    min,
    mean,
    p50: from(2, p50),
    p90: from(10, p90),
    p99: from(100, p99),
    p999: from(1000, latency?.p999 ?? null),
    p9999: from(10_000, latency?.p9999 ?? null),
    max,
  }
}
