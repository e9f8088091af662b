import type { Device, DeviceStatistics } from '../driver/device.ts'
import type { Crew } from './crew.ts'
import type { DeviceCounters, Traffic } from './types.ts'

/**
 * The only reader of the cards' statistics during a run: reading clears them. Adds what the workers count themselves
 * to what the cards count, each drop under its own name.
 */
export class StatisticsBoard {
  private readonly devices: readonly Device[]
  private readonly crew: Crew
  private readonly queues: number
  /** Totals at the last interval, by device and queue. */
  private readonly before = new Map<string, DeviceCounters>()
  private latest: DeviceStatistics[] = []

  constructor(devices: readonly Device[], crew: Crew, queues: number) {
    this.devices = devices
    this.crew = crew
    this.queues = queues
  }

  /** Totals since the start: one entry per device, followed by one per queue if there are several. */
  readonly totals = (): DeviceCounters[] => {
    this.latest = this.devices.map((device) => device.statistics())
    return this.summarize()
  }

  /**
   * Totals for the end, once the workers have stopped: what the card has put into the rings and no worker has taken
   * out shows as `rx_untaken`. Without the cards' last counts if they are gone.
   */
  finalTotals(): DeviceCounters[] {
    try {
      this.latest = this.devices.map((device) => device.statistics())
    } catch {
      // Gone: the counts of the last interval are the last there are.
    }
    if (this.latest.length === 0) return []
    return this.summarize().map((counters) => {
      if (counters.queue !== null) return counters
      const untaken = counters.rx.packets - this.takenOut(counters.index)
      return { ...counters, dropped: { ...counters.dropped, rx_untaken: Math.max(0, untaken) } }
    })
  }

  /** What has changed since the last call. */
  interval(): DeviceCounters[] {
    return this.totals().map((total) => {
      const key = `${total.index} ${total.queue ?? ''}`
      const before = this.before.get(key)
      this.before.set(key, total)
      if (before === undefined) return total
      return {
        ...total,
        rx: difference(total.rx, before.rx),
        tx: difference(total.tx, before.tx),
        dropped: mapValues(total.dropped, (count, cause) => count - (before.dropped[cause] ?? 0)),
      }
    })
  }

  private summarize(): DeviceCounters[] {
    return this.devices.flatMap((device, index) => {
      const queues = Array.from({ length: this.queues }, (_, queue) => ({
        index,
        device: device.name,
        queue,
        ...this.crew.counters(queue, index),
      }))
      const { rxPackets, rxBytes, txPackets, txBytes, dropped } = this.latest[index]
      const whole = {
        index,
        device: device.name,
        queue: null,
        rx: { packets: rxPackets, bytes: rxBytes },
        tx: { packets: txPackets, bytes: txBytes },
        dropped: queues.reduce(
          (sum, queue) => ({
            ...sum,
            ...mapValues(queue.dropped, (count, cause) => count + (sum[cause] ?? 0)),
          }),
          dropped,
        ),
      }
      return this.queues === 1 ? [whole] : [whole, ...queues]
    })
  }

  /** Packets that workers have taken out of the receive rings of a device, dropped ones included. */
  private takenOut(index: number): number {
    let sum = 0
    for (let queue = 0; queue < this.queues; queue++) {
      const { rx, dropped } = this.crew.counters(queue, index)
      sum += rx.packets + dropped['pool_empty'] + dropped['fragments']
    }
    return sum
  }
}

function difference(now: Traffic, before: Traffic): Traffic {
  return { packets: now.packets - before.packets, bytes: now.bytes - before.bytes }
}

function mapValues(
  record: Readonly<Record<string, number>>,
  change: (value: number, key: string) => number,
): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
}
