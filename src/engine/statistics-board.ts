import type { Device, DeviceStatistics } from '../driver/device.ts'
import type { CardTotals } from '../vnic/model/totals.ts'
import type { Crew, QueueCounters } from './crew.ts'
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
   * Totals for the end, once the workers have stopped and no card moves anything any more. Of a card that is gone: what its
   * process has said last (`lastWords`, by device), else what the workers know.
   */
  finalTotals(lastWords: readonly (CardTotals | null)[]): DeviceCounters[] {
    this.latest = this.devices.map((device, index) => {
      try {
        return device.statistics()
      } catch {
        return this.substitute(index, lastWords[index])
      }
    })
    return this.summarize()
  }

  /** For the statistics of a device that can't be asked any more. */
  private substitute(index: number, nic: CardTotals | null): DeviceStatistics {
    if (nic !== null) {
      const { rx, tx, dropped } = nic
      return { rxPackets: rx.packets, rxBytes: rx.bytes, txPackets: tx.packets, txBytes: tx.bytes, dropped }
    }
    const queues = Array.from({ length: this.queues }, (_, queue) => this.crew.counters(queue, index))
    const total = (of: (queue: QueueCounters) => number): number =>
      queues.reduce((sum, queue) => sum + of(queue), 0)
    return {
      rxPackets: total(({ rx }) => rx.packets),
      rxBytes: total(({ rx }) => rx.bytes),
      txPackets: total(({ tx, dropped }) => tx.packets - dropped['tx_unsent']),
      txBytes: total(({ tx }) => tx.bytes),
      dropped: this.latest[index]?.dropped ?? {},
    }
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
