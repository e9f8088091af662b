/** Resolves when `stop` is aborted. */
export function aborted(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve()
    else stop.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves after `milliseconds`, or at once when `stop` is aborted. */
export function sleep(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      stop.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    stop.addEventListener('abort', done)
  })
}

/** What somebody waits for who looks by the clock as well. */
export class Bell {
  private rung = false
  private wake = (): void => undefined

  /** Ends the wait, or the next one. */
  readonly ring = (): void => {
    this.rung = true
    this.wake()
  }

  /** Resolves after `milliseconds`, or once it rings. One at a time. */
  async wait(milliseconds: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        this.wake = (): void => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.rung = false
  }
}
