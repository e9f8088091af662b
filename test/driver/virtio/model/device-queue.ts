/** The device's side of a queue, written from the specification and not from the driver. */
import type { Breaches } from './breaches.ts'
import type { HostMemory } from './host-memory.ts'

export interface Addresses {
  descriptors: number
  driver: number
  device: number
}

export interface Part {
  readonly address: number
  readonly length: number
  readonly write: boolean
}

/** A chain of descriptors that the driver has made available. */
export interface Chain {
  readonly id: number
  readonly parts: readonly Part[]
}

export interface DeviceQueue {
  /** Takes the next chain; null if there is none. */
  take(): Chain | null
  /** Gives a chain back, `length` bytes of it written. Chains may come back in any order. */
  use(chain: Chain, length: number): void
  /** Chains that the device has. */
  readonly held: number
  /** Whether the driver is to ring when it makes more available. */
  wantDoorbell(wanted: boolean): void
  /** Whether the driver wants an interrupt for what has been used since the last call. */
  takeInterrupt(): boolean
}

const NEXT = 1
const WRITE = 2
const INDIRECT = 4

export class SplitDeviceQueue implements DeviceQueue {
  held = 0
  private readonly memory: HostMemory
  private readonly breaches: Breaches
  private readonly size: number
  private readonly at: Addresses
  private readonly eventIndex: boolean
  private readonly out = new Set<number>()
  private lastAvail = 0
  private used = 0
  private reported = 0

  constructor(memory: HostMemory, breaches: Breaches, size: number, at: Addresses, eventIndex: boolean) {
    this.memory = memory
    this.breaches = breaches
    this.size = size
    this.at = at
    this.eventIndex = eventIndex
  }

  private avail(offset: number): number {
    return this.memory.at(this.at.driver + offset, 2, 'available ring').getUint16(0, true)
  }

  take(): Chain | null {
    const { size, breaches } = this
    const offered = (this.avail(2) - this.lastAvail) & 0xffff
    breaches.check(offered <= size, 'idx is further ahead than the queue is long (§2.7.13.3)')
    if (offered === 0) return null
    const id = this.avail(4 + 2 * (this.lastAvail % size))
    this.lastAvail = (this.lastAvail + 1) & 0xffff
    breaches.check(id < size, 'a head beyond the descriptor table (§2.7.6)')
    breaches.check(!this.out.has(id), 'a chain that the device still has was made available again (§2.7.13)')
    this.out.add(id)
    this.held++
    return { id, parts: this.parts(id) }
  }

  private parts(id: number): Part[] {
    const parts: Part[] = []
    let writable = false
    for (let at = id; ;) {
      const view = this.memory.at(this.at.descriptors + 16 * (at % this.size), 16, 'descriptor table')
      const flags = view.getUint16(12, true)
      const write = (flags & WRITE) !== 0
      this.breaches.check((flags & INDIRECT) === 0, 'indirect descriptors were not negotiated (§2.7.5.3)')
      this.breaches.check(write || !writable, 'a readable descriptor behind a writable one (§2.7.4.2)')
      writable = write
      parts.push({
        address: Number(view.getBigUint64(0, true)),
        length: view.getUint32(8, true),
        write,
      })
      if ((flags & NEXT) === 0) return parts
      at = view.getUint16(14, true)
      if (parts.length > this.size) {
        this.breaches.check(false, 'a chain in a circle (§2.7.5)')
        return parts
      }
    }
  }

  use({ id }: Chain, length: number): void {
    this.out.delete(id)
    this.held--
    const view = this.memory.at(this.at.device + 4 + 8 * (this.used % this.size), 8, 'used ring')
    view.setUint32(0, id, true)
    view.setUint32(4, length, true)
    this.used = (this.used + 1) & 0xffff
    this.memory.at(this.at.device + 2, 2, 'used ring').setUint16(0, this.used, true)
  }

  /** Says to have used so many more than it has. */
  lie(more: number): void {
    this.memory.at(this.at.device + 2, 2, 'used ring').setUint16(0, this.used + more, true)
  }

  wantDoorbell(wanted: boolean): void {
    const event = this.memory.at(this.at.device + 4 + 8 * this.size, 2, 'avail_event')
    if (!this.eventIndex) this.memory.at(this.at.device, 2, 'used ring').setUint16(0, wanted ? 0 : 1, true)
    // An index that has just been passed isn't reached for a long time.
    else event.setUint16(0, wanted ? this.lastAvail : this.lastAvail - 1 - this.size, true)
  }

  takeInterrupt(): boolean {
    const since = (this.used - this.reported) & 0xffff
    this.reported = this.used
    if (!this.eventIndex) return since > 0 && (this.avail(0) & 1) === 0
    const event = this.avail(4 + 2 * this.size)
    return ((this.used - event - 1) & 0xffff) < since
  }
}

const AVAIL = 1 << 7
const USED = 1 << 15

export class PackedDeviceQueue implements DeviceQueue {
  held = 0
  private readonly memory: HostMemory
  private readonly breaches: Breaches
  private readonly size: number
  private readonly at: Addresses
  private readonly eventIndex: boolean
  private readonly out = new Map<number, number>()
  private next = 0
  private nextWrap = 1
  private used = 0
  private usedWrap = 1
  private unreported = 0
  /** Descriptors that are out: what is made available beyond them overwrites one. */
  private outstanding = 0

  constructor(memory: HostMemory, breaches: Breaches, size: number, at: Addresses, eventIndex: boolean) {
    this.memory = memory
    this.breaches = breaches
    this.size = size
    this.at = at
    this.eventIndex = eventIndex
  }

  private descriptor(index: number): DataView {
    return this.memory.at(this.at.descriptors + 16 * index, 16, 'descriptor ring')
  }

  take(): Chain | null {
    const parts: Part[] = []
    let id: number
    let flags: number
    do {
      const view = this.descriptor(this.next)
      flags = view.getUint16(14, true)
      const available = ((flags & AVAIL) !== 0) === (this.nextWrap === 1)
      const unused = ((flags & USED) !== 0) !== (this.nextWrap === 1)
      if (!available || !unused) {
        this.breaches.check(
          parts.length === 0,
          'a chain whose first descriptor is available before its last (§2.8.21)',
        )
        return null
      }
      this.breaches.check((flags & INDIRECT) === 0, 'indirect descriptors were not negotiated (§2.8.7)')
      id = view.getUint16(12, true)
      parts.push({
        address: Number(view.getBigUint64(0, true)),
        length: view.getUint32(8, true),
        write: (flags & WRITE) !== 0,
      })
      this.next = (this.next + 1) % this.size
      if (this.next === 0) this.nextWrap ^= 1
      this.outstanding++
      this.breaches.check(
        this.outstanding <= this.size,
        'more descriptors available than the ring has (§2.8.17)',
      )
    } while ((flags & NEXT) !== 0)
    this.breaches.check(!this.out.has(id), 'the id of a buffer that the device still has (§2.8.21)')
    this.out.set(id, parts.length)
    this.held++
    return { id, parts }
  }

  use({ id }: Chain, length: number): void {
    const parts = this.out.get(id) ?? 1
    this.out.delete(id)
    this.held--
    this.outstanding -= parts
    const view = this.descriptor(this.used)
    view.setUint32(8, length, true)
    view.setUint16(12, id, true)
    view.setUint16(14, this.usedWrap === 1 ? AVAIL | USED : 0, true)
    this.used += parts
    if (this.used >= this.size) {
      this.used -= this.size
      this.usedWrap ^= 1
    }
    this.unreported++
  }

  wantDoorbell(wanted: boolean): void {
    const view = this.memory.at(this.at.device, 4, 'device event suppression')
    if (wanted && this.eventIndex) {
      view.setUint16(0, this.next | (this.nextWrap << 15), true)
      view.setUint16(2, 2, true)
    } else view.setUint16(2, wanted ? 0 : 1, true)
  }

  takeInterrupt(): boolean {
    const flags = this.memory.at(this.at.driver, 4, 'driver event suppression').getUint16(2, true)
    const since = this.unreported
    this.unreported = 0
    return since > 0 && flags === 0
  }
}
