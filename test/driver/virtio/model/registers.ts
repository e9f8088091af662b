/** The card's registers, modern and legacy. Each answers its own width only. */
import { ByWidth } from '../../../../src/pci/by-width.ts'
import type { RegisterWindow } from '../../../../src/pci/transport.ts'
import { BIT, type NetworkCard } from './network-card.ts'

export const COMMON_AT = 0x100
export const ISR_AT = 0x200
export const NET_AT = 0x300
export const NOTIFY_AT = 0x1000
export const MULTIPLIER = 8
export const BAR_BYTES = 0x2000
export const NO_VECTOR = 0xffff

const MAC = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]

interface Queue {
  size: number
  enabled: number
  vector: number
  low: number[]
  high: number[]
}

/** What both generations share. */
export class CardState {
  readonly card: NetworkCard
  status = 0
  /** Accepts no features. */
  refusesFeatures = false
  /** Reads of device_status after a reset until it is done. */
  resetTakes = 2
  generation = 0
  vectors = 16
  queueSelect = 0
  private accepted: number[] = []
  private resetting = 0
  private readonly queues = new Map<number, Queue>()

  constructor(card: NetworkCard) {
    this.card = card
  }

  readStatus(): number {
    if (this.resetting > 0) {
      this.resetting--
      return 0x0f
    }
    return this.status
  }

  writeStatus(value: number): void {
    const { card } = this
    const { breaches } = card
    if (value === 0) {
      this.status = 0
      this.accepted = []
      this.queues.clear()
      card.reset()
      this.resetting = this.resetTakes
      return
    }
    breaches.check((this.status & ~value) === 0, 'a status bit was cleared (§2.1.1)')
    breaches.check(this.resetting === 0, 'initialised before the reset was done (§4.1.4.3.2)')
    const modern = card.has(BIT.VERSION_1)
    if ((value & 8) !== 0 && (this.status & 8) === 0) {
      breaches.check((this.status & 3) === 3, 'FEATURES_OK before DRIVER (§3.1.1)')
      if (this.refusesFeatures) value &= ~8
    }
    if ((value & 4) !== 0 && (this.status & 4) === 0) {
      breaches.check(!modern || (this.status & 8) !== 0, 'DRIVER_OK before FEATURES_OK (§3.1.1)')
      card.running = true
    }
    this.status = value
  }

  offeredWord(word: number): number {
    return this.card.options.offered
      .filter((bit) => bit >> 5 === word)
      .reduce((all, bit) => (all | (1 << (bit & 31))) >>> 0, 0)
  }

  accept(word: number, value: number): void {
    const { card } = this
    card.breaches.check((this.status & 2) !== 0, 'features before DRIVER (§3.1.1)')
    card.breaches.check((this.status & 8) === 0, 'features after FEATURES_OK (§3.1.1)')
    const bits = Array.from({ length: 32 }, (_, i) => word * 32 + i).filter(
      (bit) => (value >>> (bit & 31)) & 1,
    )
    card.breaches.check(
      bits.every((bit) => card.options.offered.includes(bit)),
      'a feature that was not offered (§2.2.1)',
    )
    this.accepted = [...this.accepted.filter((bit) => bit >> 5 !== word), ...bits]
    card.features = new Set(this.accepted)
  }

  get queueCount(): number {
    const { offered, pairs } = this.card.options
    return 2 * (offered.includes(BIT.MQ) ? pairs : 1) + (offered.includes(BIT.CTRL_VQ) ? 1 : 0)
  }

  queue(): Queue {
    const known = this.queues.get(this.queueSelect)
    if (known !== undefined) return known
    const size = this.queueSelect < this.queueCount ? this.card.options.queueSize : 0
    const made = { size, enabled: 0, vector: NO_VECTOR, low: [0, 0, 0], high: [0, 0, 0] }
    this.queues.set(this.queueSelect, made)
    return made
  }

  enable(): void {
    const { breaches, options } = this.card
    const queue = this.queue()
    breaches.check(
      queue.size > 0 && (queue.size & (queue.size - 1)) === 0,
      'a queue size that is no power of two (§2.7)',
    )
    breaches.check(queue.size <= options.queueSize, 'a queue larger than the device has it (§4.1.5.1.3)')
    breaches.check((this.status & 4) === 0, 'a queue was enabled after DRIVER_OK (§3.1.1)')
    breaches.check((this.status & 8) !== 0, 'a queue was enabled before FEATURES_OK (§3.1.1)')
    queue.enabled = 1
    const [descriptors, driver, device] = queue.low.map((low, i) => low + queue.high[i] * 2 ** 32)
    this.card.startQueue(this.queueSelect, queue.size, { descriptors, driver, device })
  }

  net(offset: number, width: number): number {
    const { card } = this
    if (offset < 6 && width === 1) return MAC[offset]
    if (offset === 6 && width === 2) return card.linkUp ? 1 : 0
    if (offset === 8 && width === 2) return card.options.pairs
    if (offset === 10 && width === 2) return 1500
    if (offset === 12 && width === 4) return card.speed
    if (offset === 16 && width === 1) return 1
    return wrong(card, offset, width)
  }
}

function wrong(card: NetworkCard, offset: number, width: number): number {
  card.breaches.check(false, `no register of ${width * 8} bits at ${offset} (§4.1.3.1)`)
  return 0
}

/** BAR 4 of a modern card. */
export class ModernBar extends ByWidth implements RegisterWindow {
  readonly bytes = BAR_BYTES
  readonly space = 'memory'
  private readonly state: CardState
  private deviceSelect = 0
  private driverSelect = 0

  constructor(state: CardState) {
    super()
    this.state = state
  }

  protected read(offset: number, width: number): number {
    const { state } = this
    if (offset >= NET_AT && offset < NOTIFY_AT) return state.net(offset - NET_AT, width)
    const at = `${offset - COMMON_AT}:${width}`
    const queue = state.queue()
    const values: Record<string, number> = {
      '0:4': this.deviceSelect,
      '4:4': state.offeredWord(this.deviceSelect),
      '8:4': this.driverSelect,
      '16:2': NO_VECTOR,
      '18:2': state.queueCount,
      '21:1': state.generation,
      '22:2': state.queueSelect,
      '24:2': queue.size,
      '26:2': queue.vector,
      '28:2': queue.enabled,
      '30:2': state.queueSelect,
    }
    if (at === '20:1') return state.readStatus()
    if (at === '12:4') return 0
    const place = offset - COMMON_AT - 32
    if (width === 4 && place >= 0 && place < 24) return (place & 4 ? queue.high : queue.low)[place >> 3]
    return Object.hasOwn(values, at) ? values[at] : wrong(state.card, offset, width)
  }

  protected write(offset: number, width: number, value: number): void {
    const { state } = this
    if (offset >= NOTIFY_AT) {
      state.card.breaches.check(width === 2, 'a doorbell that is not of 16 bits (§4.1.5.2)')
      state.card.breaches.check(
        offset === NOTIFY_AT + value * MULTIPLIER,
        'the doorbell of another queue (§4.1.4.4)',
      )
      return state.card.rung(value)
    }
    const queue = state.queue()
    const at = `${offset - COMMON_AT}:${width}`
    const place = offset - COMMON_AT - 32
    if (width === 4 && place >= 0 && place < 24)
      (place & 4 ? queue.high : queue.low)[place >> 3] = value >>> 0
    else if (at === '0:4') this.deviceSelect = value
    else if (at === '8:4') this.driverSelect = value
    else if (at === '12:4') state.accept(this.driverSelect, value)
    else if (at === '16:2') return
    else if (at === '20:1') state.writeStatus(value)
    else if (at === '22:2') state.queueSelect = value
    else if (at === '24:2') queue.size = value
    else if (at === '26:2') queue.vector = value < state.vectors ? value : NO_VECTOR
    else if (at === '28:2') state.enable()
    else wrong(state.card, offset, width)
  }
}

/** BAR 0 of a legacy card. */
export class LegacyBar extends ByWidth implements RegisterWindow {
  readonly bytes = 64
  readonly space = 'io'
  /** Moves the configuration of the card. */
  msix = false
  private readonly state: CardState
  private readonly pages = new Map<number, number>()

  constructor(state: CardState) {
    super()
    this.state = state
  }

  protected read(offset: number, width: number): number {
    const { state } = this
    const netAt = this.msix ? 24 : 20
    if (offset >= netAt) return state.net(offset - netAt, width)
    const at = `${offset}:${width}`
    if (at === '0:4') return state.offeredWord(0)
    if (at === '4:4') return [...state.card.features].reduce((all, bit) => (all | (1 << bit)) >>> 0, 0)
    if (at === '8:4') return this.pages.get(state.queueSelect) ?? 0
    if (at === '12:2') return state.queue().size
    if (at === '14:2') return state.queueSelect
    if (at === '18:1') return state.readStatus()
    return wrong(state.card, offset, width)
  }

  protected write(offset: number, width: number, value: number): void {
    const { state } = this
    const at = `${offset}:${width}`
    if (at === '4:4') state.accept(0, value)
    else if (at === '8:4') this.place(value)
    else if (at === '14:2') state.queueSelect = value
    else if (at === '16:2') state.card.rung(value)
    else if (at === '18:1') {
      if (value === 0) this.pages.clear()
      state.writeStatus(value)
    } else wrong(state.card, offset, width)
  }

  private place(page: number): void {
    const { card, queueSelect } = this.state
    const { size } = this.state.queue()
    this.pages.set(queueSelect, page)
    const descriptors = page * 4096
    const driver = descriptors + 16 * size
    const device = Math.ceil((driver + 6 + 2 * size) / 4096) * 4096
    card.startQueue(queueSelect, size, { descriptors, driver, device })
  }
}
