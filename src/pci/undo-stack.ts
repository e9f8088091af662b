/** Steps that undo what was done, run in reverse order: at the end, or when something fails half way. */
export class UndoStack {
  private steps: (() => void)[] = []

  push(step: () => void): void {
    this.steps.push(step)
  }

  /** Runs every step, the last pushed first, whatever one of them throws. Idempotent, never throws. */
  run(): void {
    const steps = this.steps.reverse()
    this.steps = []
    for (const step of steps) {
      try {
        step()
      } catch {
        // The device may be gone; the other steps still matter.
      }
    }
  }
}
