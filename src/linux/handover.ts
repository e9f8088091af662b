/**
 * Two threads that poll for each other's work, here a driver's worker and a virtual NIC of another process: on CPUs of their own
 * that is all there is to it. Where others want to run as well, one of the two is often off its CPU, and what the other does then
 * is in vain, and may be what keeps its partner from running. So they tell each other in a page that they share where they run
 * and when they sleep, and the one whose turn it is wakes the other.
 *
 *     DEVICE_ASLEEP    0: the device would run if it could. WAKE_ME: it sleeps on this word, or is about to. RESTS: it sleeps until
 *                      it gets a message, or is about to.
 *     DEVICE_CPU       The number of the CPU on which it runs, + 1; 0: it hasn't said.
 *     ASLEEP, CPU      The same two of the worker that has a queue, for each queue.
 *
 * No wake-up is lost: who wants to sleep says so, looks once more whether there is work, and then sleeps if the word still
 * says so. Who has done some work for the other looks at its word afterwards, by atomic accesses that nothing overtakes. But for
 * sleeping the words are hints: what a partner writes there makes a thread sleep in vain for LONGEST, or wake in vain.
 */
import { currentCpu } from './affinity.ts'
import { tryWrite } from './file.ts'
import { wakeWord, WordSet } from './futex.ts'
import { viewOf } from './mapping.ts'

export const HANDOVER_BYTES = 4096
/** Longest sleep, milliseconds: whatever the partner does, or if it is no more. */
export const LONGEST = 0.5

/** Indices of 32-bit words. What different threads write is in different cache lines. */
const LINE = 16
const DEVICE_ASLEEP = 0
const DEVICE_CPU = 1
const FIRST_DRIVER = LINE
const ASLEEP = 0
const CPU = 1
/** The word of one that sleeps on it. */
export const WAKE_ME = 1
const RESTS = 2

/** How a worker and a device let each other run; can be posted to it. */
export interface HandoverPlace {
  /** Virtual address. */
  readonly page: bigint
  /** Wakes a device that rests: to be written to this descriptor, all at once. */
  readonly call: { readonly fd: number; readonly message: Uint8Array }
}

/** The same for one queue. */
export interface HandoverSpec extends HandoverPlace {
  /** 0 to 62; there are no gaps. */
  readonly queue: number
}

/** `address`: where the word is. */
function wake(words: Int32Array, word: number, address: bigint): void {
  Atomics.store(words, word, 0)
  wakeWord(address)
}

/** Wakes a device that rests. Its word goes first: what it says after it has woken stays. */
function callUp(words: Int32Array, fd: number, message: Uint8Array): void {
  Atomics.store(words, DEVICE_ASLEEP, 0)
  try {
    // If there is no room, the device has messages to wake it.
    tryWrite(fd, message, message.length)
  } catch {
    // It has gone, which the main thread notices.
  }
}

/** The device's end: one NIC. */
export class DeviceEnd {
  private readonly words: Int32Array
  private readonly address: bigint
  private readonly fence = new Int32Array(1)
  private cpu = 0
  /** Work has been done since the workers were last woken. */
  private owes = false

  /** The page is `offset` bytes into `buffer`, which is at `address` of this process. */
  constructor(buffer: ArrayBuffer, address: bigint, offset: number) {
    this.words = new Int32Array(buffer, offset, HANDOVER_BYTES / 4)
    this.address = address + BigInt(offset)
  }

  /** The word that this end sleeps on. */
  get bed(): bigint {
    return this.address + BigInt(DEVICE_ASLEEP * 4)
  }

  /**
   * Called after each poll that has done so much `work`: wakes the workers that wait for it. Who falls asleep meanwhile is woken after the
   * first poll without work, if not before.
   */
  polled(work: number): void {
    const { words } = this
    const busy = work > 0
    if (!busy) {
      if (!this.owes) return
      // Before the last look at what the workers have written: they must see the work, or be seen asleep.
      Atomics.store(this.fence, 0, 0)
    }
    this.owes = busy
    for (let at = FIRST_DRIVER; at < words.length && words[at + CPU] !== 0; at += LINE) {
      // One that can't run before this thread is done is woken when it is.
      if (words[at + ASLEEP] === 0 || (busy && words[at + CPU] === this.cpu)) continue
      wake(words, at + ASLEEP, this.address + BigInt((at + ASLEEP) * 4))
    }
  }

  /** Says where this thread runs; what is said is soon not true any more, so it is to be said often. Returns true if a worker is on the same CPU and would go on if it could. */
  announce(cpu: number): boolean {
    const { words } = this
    if (this.cpu !== cpu + 1) Atomics.store(words, DEVICE_CPU, (this.cpu = cpu + 1))
    for (let at = FIRST_DRIVER; at < words.length && words[at + CPU] !== 0; at += LINE)
      if (words[at + CPU] === this.cpu && Atomics.load(words, at + ASLEEP) === 0) return true
    return false
  }

  /** True if there is a worker that wakes this end, however it sleeps. */
  get heard(): boolean {
    return this.words[FIRST_DRIVER + CPU] !== 0
  }

  /** About to sleep on `bed`: the device is to be polled once more after that. */
  arm(): void {
    Atomics.store(this.words, DEVICE_ASLEEP, WAKE_ME)
  }

  /** About to sleep until a message comes: the device is to be polled once more after that. */
  rest(): void {
    Atomics.store(this.words, DEVICE_ASLEEP, RESTS)
  }

  /** Awake. */
  rise(): void {
    Atomics.store(this.words, DEVICE_ASLEEP, 0)
  }

  /** A new partner finds the page empty. */
  clear(): void {
    this.words.fill(0)
    this.cpu = 0
    this.owes = false
  }
}

/** The driver's end: a worker, and the devices of its queues. */
export class DriverEnd {
  private readonly ends: readonly {
    readonly words: Int32Array
    readonly own: number
    /** Of HandoverPlace.call. */
    readonly fd: number
    readonly message: Uint8Array
    /** Address of the word that the device sleeps on: made once, as each is an object on the heap. */
    readonly bed: bigint
  }[]
  private readonly fence = new Int32Array(1)
  private readonly set: WordSet
  private cpu = 0
  /** About to sleep. */
  armed = false

  constructor(specs: readonly HandoverSpec[]) {
    this.ends = specs.map(({ page, call, queue }) => ({
      words: new Int32Array(viewOf(page, HANDOVER_BYTES)),
      own: FIRST_DRIVER + queue * LINE,
      fd: call.fd,
      message: call.message,
      bed: page + BigInt(DEVICE_ASLEEP * 4),
    }))
    this.set = new WordSet(
      specs.map(({ page, queue }) => page + BigInt((FIRST_DRIVER + queue * LINE + ASLEEP) * 4)),
      WAKE_ME,
    )
  }

  /** Wakes the devices that sleep: there may be something in the rings. */
  ring(): void {
    // The tails were written before: no look at a device may overtake that.
    Atomics.store(this.fence, 0, 0)
    for (let i = 0; i < this.ends.length; i++) {
      const { words, fd, message, bed } = this.ends[i]
      const asleep = Atomics.load(words, DEVICE_ASLEEP)
      if (asleep === WAKE_ME) wake(words, DEVICE_ASLEEP, bed)
      else if (asleep === RESTS) callUp(words, fd, message)
    }
  }

  /** Says where this thread runs, which is to be said often. Returns true if a device is on the same CPU and would go on if it could. */
  announce(current = currentCpu()): boolean {
    const cpu = current + 1
    let kept = false
    for (let i = 0; i < this.ends.length; i++) {
      const { words, own } = this.ends[i]
      if (this.cpu !== cpu) Atomics.store(words, own + CPU, cpu)
      if (Atomics.load(words, DEVICE_CPU) === cpu && Atomics.load(words, DEVICE_ASLEEP) === 0) kept = true
    }
    this.cpu = cpu
    return kept
  }

  /** Says that this thread is about to sleep. The rings are to be polled once more after that. */
  arm(): void {
    this.armed = true
    this.setAsleep(WAKE_ME)
  }

  /** Not any more. */
  disarm(): void {
    if (!this.armed) return
    this.armed = false
    this.setAsleep(0)
  }

  private setAsleep(value: number): void {
    for (let i = 0; i < this.ends.length; i++) {
      const { words, own } = this.ends[i]
      Atomics.store(words, own + ASLEEP, value)
    }
  }

  /** Sleeps until a device has done something, for `longest` milliseconds at the longest. Returns false if the time was over. */
  sleep(longest = LONGEST): boolean {
    const woken = this.set.wait(longest)
    this.disarm()
    return woken
  }
}
