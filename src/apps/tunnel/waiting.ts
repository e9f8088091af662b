/** Packets, encapsulated but for a MAC address, whose next hop has been asked for it. */
import { PATIENCE } from './underlay.ts'

/** At once: they are buffers that nobody else can use. */
export const MOST_WAITING = 64

export class Waiting {
  private readonly ids = new Int32Array(MOST_WAITING)
  private readonly networks = new Int32Array(MOST_WAITING)
  private readonly since = new Int32Array(MOST_WAITING)
  private count = 0
  private closed = false

  /** Takes packet `id` over at `tick`. False: too many are waiting, or none may any more. */
  add(id: number, network: number, tick: number): boolean {
    if (this.count === MOST_WAITING || this.closed) return false
    this.ids[this.count] = id
    this.networks[this.count] = network
    this.since[this.count++] = tick
    return true
  }

  /** Passes those of the networks that `ready` says to `send`, in order. */
  release(ready: Uint8Array, send: (id: number, network: number) => void): void {
    this.sift((i) => {
      if (ready[this.networks[i]] === 0) return false
      send(this.ids[i], this.networks[i])
      return true
    })
  }

  /** Passes those that have waited too long to `drop`. */
  expire(tick: number, drop: (id: number) => void): void {
    this.sift((i) => {
      if (tick - this.since[i] < PATIENCE) return false
      drop(this.ids[i])
      return true
    })
  }

  /** Passes all to `drop`, and lets none wait any more. */
  close(drop: (id: number) => void): void {
    this.closed = true
    for (let i = 0; i < this.count; i++) drop(this.ids[i])
    this.count = 0
  }

  /** Begins anew, with none. Those of a rehearsal are nobody's. */
  reset(): void {
    this.count = 0
    this.closed = false
  }

  /** Takes out those for which `gone` says so. */
  private sift(gone: (i: number) => boolean): void {
    const { ids, networks, since, count } = this
    let kept = 0
    for (let i = 0; i < count; i++) {
      if (gone(i)) continue
      ids[kept] = ids[i]
      networks[kept] = networks[i]
      since[kept++] = since[i]
    }
    this.count = kept
  }
}
