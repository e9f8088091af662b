/**
 * The links of a run's devices: waited for at its start, watched while it lasts. Where the app passes packets on, a device hears of the
 * link of the one that they come from.
 */
import type { LinkState } from '../driver/device.ts'
import type { App } from './app.ts'
import type { Session } from './session.ts'
import type { LinkNow, RunObserver } from './types.ts'
import { sleep } from './wait.ts'

/** Milliseconds to wait for links before starting without them. */
const DEADLINE = 10_000
/** Between two looks. A virtual link is up after 20, one of hardware after half a second or more. */
const LOOK_EVERY = 5

export class Links {
  private readonly session: Pick<Session, 'devices' | 'assertAlive'>
  private readonly passes: NonNullable<App['passes']>
  private readonly observer: Pick<RunObserver, 'warning' | 'progress' | 'link'>
  private states: readonly LinkState[] = []

  /** `passes`: as in App. */
  constructor(
    session: Pick<Session, 'devices' | 'assertAlive'>,
    observer: Pick<RunObserver, 'warning' | 'progress' | 'link'>,
    passes: App['passes'] = [],
  ) {
    this.session = session
    this.passes = passes
    this.observer = observer
  }

  /** Of a device, as last seen; 0 while it is down. */
  mbit(index: number): number {
    return this.states[index].mbit
  }

  /** Of all devices, as last seen. */
  now(): LinkNow[] {
    return this.states.map(({ up, mbit }, index) => ({ index, up, mbit }))
  }

  /** Returns once every link is up, after DEADLINE, or when `stop` is aborted. Throws why, if a device has gone. */
  async untilUp(stop: AbortSignal): Promise<void> {
    const { session, observer } = this
    const deadline = performance.now() + DEADLINE
    let told = 0
    for (;;) {
      session.assertAlive()
      this.states = session.devices.map((device) => device.link())
      this.tellOthers()
      const down = session.devices.filter((_, i) => !this.states[i].up).map((device) => device.name)
      if (down.length === 0 || stop.aborted) return
      const now = performance.now()
      if (now > deadline) {
        observer.warning(`no link on ${down.join(', ')} after ${DEADLINE / 1000} s: starting without`)
        return
      }
      if (now - told >= 1000) {
        observer.progress(
          `waiting for the link of ${down.join(', ')} (${Math.ceil((deadline - now) / 1000)} s left)`,
        )
        told = now
      }
      await sleep(LOOK_EVERY, stop)
    }
  }

  /** Tells of those that have changed. */
  look(): void {
    this.states = this.session.devices.map((device, index) => {
      const link = device.link()
      if (link.up !== this.states[index].up) this.observer.link({ index, device: device.name, up: link.up })
      return link
    })
    this.tellOthers()
  }

  private tellOthers(): void {
    const { passes, session, states } = this
    session.devices.forEach((device, index) => {
      const from = passes.filter((pair) => pair[1] === index && pair[0] < states.length)
      if (from.length > 0) device.follow?.(from.some((pair) => states[pair[0]].up))
    })
  }
}
