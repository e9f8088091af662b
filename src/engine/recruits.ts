/**
 * The threads of a run's workers, which load their program while devices are opened: that takes each of them 50 ms, and the main
 * thread waits for virtual NICs and links meanwhile. What they are to do they hear later, see Member.
 */
import { Thread } from '../threads.ts'

export class Recruits {
  private readonly wanted: number
  private readonly threads: Thread[] = []

  /** Starts no thread yet. */
  constructor(wanted: number) {
    this.wanted = wanted
  }

  /** Starts all that are missing. What can't be started is tried again by take(), and fails there. */
  start(): void {
    try {
      while (this.threads.length < this.wanted) this.threads.push(new Thread('worker.cjs', {}))
    } catch {
      // As above.
    }
  }

  /** A thread that belongs to the caller from now on. Throws what the Worker of Node.js throws. */
  take(): Thread {
    return this.threads.shift() ?? new Thread('worker.cjs', {})
  }

  /** Ends those that nobody has taken. */
  dismiss(): void {
    for (const thread of this.threads.splice(0)) void thread.terminate()
  }
}
