import type { Device, DeviceStatistics } from '../driver/device.ts'
import type { CardTotals } from '../vnic/model/totals.ts'
import type { Crew } from './crew.ts'
import type { DeviceCounters, Sample } from './types.ts'

/** Seconds until the cards are read again whatever the interval: their counters are registers of 32 and 36 bits. */
const READ_EVERY = 4
/** The same in bytes of one direction: a quarter of what an octet counter holds. No link bounds the rate of a virtual card. */
const READ_BYTES = 2 ** 34

/**
 * The only reader of the cards' statistics during a run: reading clears them. Adds what the workers count themselves
 * to what the cards count, each drop under its own name.
 */
export class StatisticsBoard {
  private readonly devices: readonly Device[]
  private readonly crew: Crew
  private readonly queues: number
  private readonly warn: (message: string) => void
  private latest: DeviceStatistics[] = []
  /** When the cards were read, and what the workers had counted by then. */
  private readAt = performance.now()
  private bytesRead: readonly number[] = []
  private readonly stuck = new Set<string>()

  constructor(
    devices: readonly Device[],
    crew: Crew,
    queues: number,
    warn: (message: string) => void = () => undefined,
  ) {
    this.devices = devices
    this.crew = crew
    this.queues = queues
    this.warn = warn
  }

  /** Totals since the start: one entry per device, followed by one per queue if there are several. */
  readonly totals = (): DeviceCounters[] => {
    this.readCards()
    return this.summarize()
  }

  /** The same, and the app's own counters, at this moment. */
  readonly sample = (): Sample => {
    const { app } = this.crew
    const time = performance.now() / 1000
    return {
      time,
      devices: this.totals(),
      ...(app === null ? {} : { app: { name: app, counters: this.crew.appCounters() } }),
    }
  }

  /** Reads the cards if it is time: before a counter can stick. To be called ten times a second; it costs next to nothing. */
  keepUp(now: number): void {
    const due = now - this.readAt >= READ_EVERY * 1000
    if (due || this.bytes().some((bytes, i) => bytes - (this.bytesRead[i] ?? 0) >= READ_BYTES))
      this.readCards()
  }

  private readCards(read: (device: Device, index: number) => DeviceStatistics = statisticsOf): void {
    this.readAt = performance.now()
    this.bytesRead = this.bytes()
    this.latest = this.devices.map(read)
    this.devices.forEach((device, i) => {
      for (const register of this.latest[i].stuck) {
        const name = `${device.name}: ${register}`
        if (!this.stuck.has(name))
          this.warn(
            `${name} has reached its largest value and stuck there: some of what it counts is missing`,
          )
        this.stuck.add(name)
      }
    })
  }

  /** What the workers have moved, by device and direction. */
  private bytes(): number[] {
    return this.devices.flatMap((_, index) => {
      const { rx, tx } = this.crew.totals(index)
      return [rx.bytes, tx.bytes]
    })
  }

  /**
   * Totals for the end, once the workers have stopped and no card moves anything any more. Of a card that is gone: what its
   * process has said last (`lastWords`, by device), else what the workers know.
   */
  finalTotals(lastWords: readonly (CardTotals | null)[]): DeviceCounters[] {
    this.readCards((device, index) => {
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
      const counted = { rxPackets: rx.packets, rxBytes: rx.bytes, txPackets: tx.packets, txBytes: tx.bytes }
      return { ...counted, dropped, stuck: [] }
    }
    const { rx, tx, dropped } = this.crew.totals(index)
    const unsent = dropped['tx_unsent']
    // How long those were is known to nobody any more: they are taken to be like the others.
    const unsentBytes = unsent === 0 ? 0 : Math.round(unsent * (tx.bytes / tx.packets))
    return {
      rxPackets: rx.packets,
      rxBytes: rx.bytes,
      txPackets: tx.packets - unsent,
      txBytes: tx.bytes - unsentBytes,
      dropped: this.latest[index]?.dropped ?? {},
      stuck: [],
    }
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
        dropped: {
          ...dropped,
          ...mapValues(this.crew.totals(index).dropped, (count, cause) => count + (dropped[cause] ?? 0)),
        },
      }
      return this.queues === 1 ? [whole] : [whole, ...queues]
    })
  }
}

function statisticsOf(device: Device): DeviceStatistics {
  return device.statistics()
}

function mapValues(
  record: Readonly<Record<string, number>>,
  change: (value: number, key: string) => number,
): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]))
}
