/** Registers of before virtio 1.0: all of them in BAR0, mostly I/O ports (virtio 1.2 §4.1.4.10). */
import { IxyError } from '../../errors.ts'
import type { Doorbell, Transport } from '../../pci/transport.ts'
import { msixEnabled } from './capabilities.ts'
import { type Features, featureWord, featuresOf } from './features.ts'
import type { QueueAddresses, VirtioFunction } from './function.ts'
import { QUEUE_PAGE } from './layout.ts'
import { LEGACY, LEGACY_MSIX, NO_VECTOR, Structure, type VirtioRegister, legacyNetAt } from './registers.ts'

/** The BAR with the registers. */
export const LEGACY_BAR = 0

export class LegacyFunction implements VirtioFunction {
  readonly legacy = true
  private readonly transport: Transport
  private readonly registers: Structure

  constructor(transport: Transport) {
    this.transport = transport
    this.registers = new Structure(
      transport.bar(LEGACY_BAR),
      0,
      transport.bar(LEGACY_BAR).bytes,
      transport.name,
    )
  }

  get status(): number {
    return this.registers.read(LEGACY.device_status)
  }

  set status(value: number) {
    this.registers.write(LEGACY.device_status, value)
  }

  offered(): Features {
    return featuresOf(this.registers.read(LEGACY.device_features))
  }

  accept(features: Features): void {
    this.registers.write(LEGACY.driver_features, featureWord(features, 0))
  }

  /** The registers move when MSI-X is enabled, which the transport does. */
  net(register: VirtioRegister): number {
    const { transport } = this
    const window = transport.bar(LEGACY_BAR)
    const at = legacyNetAt(msixEnabled(transport.config, transport.name))
    return new Structure(window, at, window.bytes - at, transport.name).read(register)
  }

  /** There is none: whoever reads a field of several bytes reads it twice (§2.5.4). */
  generation(): number {
    return 0
  }

  queueSize(queue: number): number {
    this.registers.write(LEGACY.queue_select, queue)
    return this.registers.read(LEGACY.queue_size)
  }

  startQueue(queue: number, _size: number, { descriptors }: QueueAddresses, vector: number): void {
    const { registers, transport } = this
    registers.write(LEGACY.queue_select, queue)
    if (msixEnabled(transport.config, transport.name)) {
      registers.write(LEGACY_MSIX.queue_msix_vector, vector)
      if (vector !== NO_VECTOR && registers.read(LEGACY_MSIX.queue_msix_vector) !== vector)
        throw this.refusal(queue, `doesn't take interrupt ${vector} (queue_msix_vector)`, 'use --mode poll')
    }
    const page = descriptors / QUEUE_PAGE
    if (page >= 2 ** 32)
      throw this.refusal(
        queue,
        `can't be at 0x${descriptors.toString(16)}: its device knows addresses of 44 bits (queue_address)`,
        'use a device of virtio 1.0 or later',
      )
    registers.write(LEGACY.queue_address, page)
  }

  doorbell(): Doorbell | null {
    return this.transport.doorbell(LEGACY_BAR, LEGACY.queue_notify.offset)
  }

  notify(queue: number): void {
    this.registers.write(LEGACY.queue_notify, queue)
  }

  private refusal(queue: number, how: string, fix: string): IxyError {
    const what = `${this.transport.name}: queue ${queue} ${how}, virtio 1.2 §4.1.4.10`
    return new IxyError('IXY_ERR_REGISTER', what, fix)
  }
}
