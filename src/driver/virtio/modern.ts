/** Registers since virtio 1.0: structures anywhere in the function's BARs (virtio 1.2 §4.1.4). */
import { IxyError } from '../../errors.ts'
import type { Doorbell, Transport } from '../../pci/transport.ts'
import type { Place, Places } from './capabilities.ts'
import { type Features, featureWord, featuresOf } from './features.ts'
import { type QueueAddresses, type VirtioFunction, halves } from './function.ts'
import { COMMON, NO_VECTOR, Structure, type VirtioRegister } from './registers.ts'

export class ModernFunction implements VirtioFunction {
  readonly legacy = false
  private readonly transport: Transport
  private readonly notifyPlace: Places['notify']
  private readonly common: Structure
  private readonly netConfig: Structure
  /** Where the doorbells of the queues are in their BAR. */
  private readonly doorbells = new Map<number, number>()

  /** Throws IXY_ERR_DEVICE_UNSUPPORTED if a structure isn't where the function says. */
  constructor(transport: Transport, { common, notify, net }: Places) {
    this.transport = transport
    this.notifyPlace = notify
    this.common = structureAt(transport, common)
    this.netConfig = structureAt(transport, net)
    structureAt(transport, notify)
  }

  get status(): number {
    return this.common.read(COMMON.device_status)
  }

  set status(value: number) {
    this.common.write(COMMON.device_status, value)
  }

  offered(): Features {
    const words = [0, 1].map((select) => {
      this.common.write(COMMON.device_feature_select, select)
      return this.common.read(COMMON.device_feature)
    })
    return featuresOf(...words)
  }

  accept(features: Features): void {
    for (const select of [0, 1]) {
      this.common.write(COMMON.driver_feature_select, select)
      this.common.write(COMMON.driver_feature, featureWord(features, select * 32))
    }
  }

  net(register: VirtioRegister): number {
    return this.netConfig.read(register)
  }

  generation(): number {
    return this.common.read(COMMON.config_generation)
  }

  queueSize(queue: number): number {
    if (queue >= this.common.read(COMMON.num_queues)) return 0
    this.common.write(COMMON.queue_select, queue)
    return this.common.read(COMMON.queue_size)
  }

  startQueue(queue: number, size: number, addresses: QueueAddresses, vector: number): void {
    const { common, transport } = this
    common.write(COMMON.queue_select, queue)
    common.write(COMMON.queue_size, size)
    common.write(COMMON.queue_msix_vector, vector)
    // §4.1.5.1.2: a device that has no room for it says so.
    if (vector !== NO_VECTOR && common.read(COMMON.queue_msix_vector) !== vector)
      throw new IxyError(
        'IXY_ERR_REGISTER',
        `${transport.name}: queue ${queue} doesn't take interrupt ${vector} (queue_msix_vector, virtio 1.2 §4.1.5.1.2)`,
        'use --mode poll',
      )
    const places = [
      [COMMON.queue_desc_lo, COMMON.queue_desc_hi, addresses.descriptors],
      [COMMON.queue_driver_lo, COMMON.queue_driver_hi, addresses.driver],
      [COMMON.queue_device_lo, COMMON.queue_device_hi, addresses.device],
    ] as const
    for (const [lowRegister, highRegister, address] of places) {
      const [low, high] = halves(address)
      common.write(lowRegister, low)
      common.write(highRegister, high)
    }
    this.doorbells.set(queue, this.locateDoorbell(queue, common.read(COMMON.queue_notify_off)))
    common.write(COMMON.queue_enable, 1)
  }

  doorbell(queue: number): Doorbell | null {
    return this.transport.doorbell(this.notifyPlace.bar, this.doorbellAt(queue))
  }

  notify(queue: number): void {
    this.transport.bar(this.notifyPlace.bar).write16(this.doorbellAt(queue), queue)
  }

  private doorbellAt(queue: number): number {
    const at = this.doorbells.get(queue)
    if (at === undefined) throw new IxyError('IXY_ERR_INTERNAL', `queue ${queue} has not been started`)
    return at
  }

  /** §4.1.4.4 */
  private locateDoorbell(queue: number, places: number): number {
    const { offset, bytes, multiplier } = this.notifyPlace
    const inside = places * multiplier
    if (inside + 2 > bytes || (offset + inside) % 2 !== 0)
      throw new IxyError(
        'IXY_ERR_REGISTER',
        `${this.transport.name}: the doorbell of queue ${queue} is at ${inside} of ${bytes} bytes (queue_notify_off, virtio 1.2 §4.1.4.4)`,
        'report it to whoever makes the device',
      )
    return offset + inside
  }
}

function structureAt(transport: Transport, { bar, offset, bytes }: Place): Structure {
  const window = transport.bar(bar)
  if (offset + bytes > window.bytes)
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${transport.name}: registers up to 0x${(offset + bytes).toString(16)} of BAR${bar}, which has ${window.bytes} bytes (virtio 1.2 §4.1.4)`,
      'report it to whoever makes the device',
    )
  return new Structure(window, offset, bytes, transport.name)
}
