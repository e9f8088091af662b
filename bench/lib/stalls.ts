/**
 * Why packets were away for long: what the kernel says of the threads that carry them, from at most 20 ms before a pause to its end. Kept by
 * the process of the NICs, as it is the first to know.
 */
import { openSync, readdirSync, readFileSync, readSync } from 'node:fs'

/** Milliseconds from which on a packet's time is a stall. */
export const STALL = 1
/** How many are kept. */
const KEPT = 12
/** Readings that are kept to look back to. */
const READINGS = 64
/** USER_HZ. */
const TICK = 10

/** Milliseconds all of them. */
export interface Stall {
  /** Since packets began to count. */
  readonly at: number
  /** The longest time of a packet in it. */
  readonly length: number
  /** The threads were ready to run, and others ran. */
  readonly nicsWaited: number
  readonly forwarderWaited: number
  /** The hypervisor gave the CPUs to others: in steps of 10 ms. */
  readonly stolen: number
}

/** Of the whole time: what the two threads had of the CPUs, and how long they waited for them. */
export interface Shares {
  readonly nicsRan: number
  readonly nicsWaited: number
  readonly forwarderRan: number
  readonly forwarderWaited: number
  readonly stolen: number
}

interface Reading {
  readonly at: number
  readonly nics: Schedstat
  readonly forwarder: Schedstat
  readonly stolen: number
}

export class StallBook {
  readonly longest: Stall[] = []
  /** Stalls in all. */
  count = 0
  private readonly nics: ThreadFile
  private readonly forwarder: ThreadFile
  private readonly stat = new Text('/proc/stat')
  private readonly first: Reading
  private readonly readings: Reading[]
  private readonly clock: () => number
  private readonly begin: number
  private end = 0

  /** `forwarder`: of Threads.busiest(). `clock`: milliseconds, as all times here. */
  constructor(forwarder: ThreadFile, clock: () => number) {
    this.clock = clock
    this.begin = clock()
    this.nics = new ThreadFile(process.pid, process.pid)
    this.forwarder = forwarder
    this.first = this.read()
    this.readings = [this.first]
  }

  /** To be called every few milliseconds. */
  refresh(): void {
    this.readings.push(this.read())
    if (this.readings.length > READINGS) this.readings.shift()
  }

  /** A packet that went in at `entered` has come out at `left`. */
  note(entered: number, left: number): void {
    const length = left - entered
    const last = this.longest.at(-1)
    if (entered < this.end) {
      // Of the same pause.
      if (last !== undefined && length > last.length && left <= this.end + length)
        this.longest[this.longest.length - 1] = { ...last, length }
      return
    }
    this.end = left
    this.count++
    const now = this.read()
    const before = this.readings.findLast(({ at }) => at <= entered) ?? this.readings[0]
    this.drop()
    this.longest.push({
      at: left - this.begin,
      length,
      nicsWaited: now.nics.waited - before.nics.waited,
      forwarderWaited: now.forwarder.waited - before.forwarder.waited,
      stolen: now.stolen - before.stolen,
    })
  }

  /** The shortest goes, but not the last one: it may still grow. */
  private drop(): void {
    const { longest } = this
    if (longest.length < KEPT) return
    const shortest = longest.reduce((least, { length }, i) => (length < longest[least].length ? i : least), 0)
    longest.splice(shortest, 1)
  }

  shares(): Shares {
    const { first } = this
    const last = this.read()
    return {
      nicsRan: last.nics.ran - first.nics.ran,
      nicsWaited: last.nics.waited - first.nics.waited,
      forwarderRan: last.forwarder.ran - first.forwarder.ran,
      forwarderWaited: last.forwarder.waited - first.forwarder.waited,
      stolen: last.stolen - first.stolen,
    }
  }

  private read(): Reading {
    const [, , , , , , , , stolen] = this.stat.line().split(/\s+/)
    const at = this.clock()
    return { at, nics: this.nics.read(), forwarder: this.forwarder.read(), stolen: Number(stolen) * TICK }
  }
}

interface Schedstat {
  readonly ran: number
  readonly waited: number
}

/** /proc/<pid>/task/<tid>/schedstat: nanoseconds on a CPU, and ready to run without one. */
export class ThreadFile {
  private readonly text: Text

  constructor(pid: number, tid: number) {
    this.text = new Text(`/proc/${pid}/task/${tid}/schedstat`)
  }

  read(): Schedstat {
    const [ran, waited] = this.text.line().split(' ').map(Number)
    return { ran: ran / 1e6, waited: waited / 1e6 }
  }
}

/** A file of the kernel that is read again and again. */
class Text {
  private readonly fd: number
  private readonly buffer = Buffer.alloc(256)

  constructor(name: string) {
    this.fd = openSync(name, 'r')
  }

  line(): string {
    const bytes = readSync(this.fd, this.buffer, 0, this.buffer.length, 0)
    const text = this.buffer.toString('latin1', 0, bytes)
    return text.slice(0, Math.max(text.indexOf('\n'), 0))
  }
}

/** The threads of a process, of which the one that polls is to be found. */
export class Threads {
  private readonly pid: number
  private readonly before: ReadonlyMap<number, number>

  constructor(pid: number) {
    this.pid = pid
    this.before = this.busy()
  }

  /** The one that has wanted most of the CPUs since then. */
  busiest(): ThreadFile {
    const wanted = [...this.busy()].map(([tid, time]) => ({ tid, time: time - (this.before.get(tid) ?? 0) }))
    const { tid } = wanted.reduce((most, thread) => (thread.time > most.time ? thread : most))
    return new ThreadFile(this.pid, tid)
  }

  private busy(): Map<number, number> {
    const threads = readdirSync(`/proc/${this.pid}/task`)
    return new Map(
      threads.map((name) => {
        const [ran, waited] = readFileSync(`/proc/${this.pid}/task/${name}/schedstat`, 'latin1').split(' ')
        return [Number(name), Number(ran) + Number(waited)]
      }),
    )
  }
}
