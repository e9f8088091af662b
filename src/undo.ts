/** Giving back what was taken: the one way to do it in this program. */

/** Takes every step, in order, also when one before it has thrown; then throws what the first of those has thrown. */
export function takeAllSteps(steps: readonly (() => void)[]): void {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/** Steps that undo what was done so far: at the end, or when something fails half way. */
export class Undo {
  private steps: (() => void)[] = []

  push(step: () => void): void {
    this.steps.push(step)
  }

  /** Takes every step, the last pushed first; then throws what the first of those that failed has thrown. Idempotent. */
  run(): void {
    const steps = this.steps.reverse()
    this.steps = []
    takeAllSteps(steps)
  }

  /** As run(), for when there is an error already, or nobody who could do anything about another: never throws. */
  runQuietly(): void {
    try {
      this.run()
    } catch {
      // What was to be given back may be gone.
    }
  }
}
