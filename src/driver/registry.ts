/** All drivers, as the main thread sees them: which device is whose, and what can be asked for. */
import { IxyError } from '../errors.ts'
import {
  ETHERNET_CLASS,
  type KnownDevices,
  type Model,
  type PciIds,
  formatIds,
  hex,
  readIds,
} from '../pci/ids.ts'
import type { DeviceAddress } from '../pci/address.ts'
import type { Transport } from '../pci/transport.ts'
import type { DeviceOptions, Driver, Limits, PciDriver, SystemDriver } from './driver.ts'
import { ixgbe } from './ixgbe/driver.ts'
import { tap } from './tap/driver.ts'
import { virtio } from './virtio/driver.ts'

/** Packets per batch that suit a card. */
const USUAL_BATCH = 32

export class DriverRegistry implements KnownDevices {
  /** What at least one of the drivers can do: the range in which an option makes sense at all. */
  readonly limits: Limits
  private readonly drivers: readonly PciDriver[]
  private readonly others: readonly SystemDriver[]

  constructor(drivers: readonly PciDriver[], others: readonly SystemDriver[] = []) {
    this.drivers = drivers
    this.others = others
    const all = [...drivers, ...others].map(({ limits }) => limits)
    this.limits = {
      queues: Math.max(...all.map(({ queues }) => queues)),
      interruptQueues: Math.max(...all.map(({ interruptQueues }) => interruptQueues)),
      ringSize: {
        min: Math.min(...all.map(({ ringSize }) => ringSize.min)),
        max: Math.max(...all.map(({ ringSize }) => ringSize.max)),
      },
      mtu: Math.max(...all.map(({ mtu }) => mtu)),
    }
  }

  identify(ids: PciIds): Model {
    return this.find(ids)?.model ?? { model: `device ${formatIds(ids)}`, family: 'unknown' }
  }

  requireSupported(name: string, ids: PciIds, force: boolean): void {
    this.driverOf(name, ids, force)
  }

  /** Whose the device at the other end of `transport` is; as driverOf(). Throws IXY_ERR_DEVICE_GONE, too. */
  driverFor(transport: Transport, force: boolean): { driver: Driver; model: Model } {
    const { name, access, config } = transport
    const driver = this.others.find((other) => other.access === access)
    if (driver !== undefined) return { driver, model: driver.model }
    return this.driverOf(name, readIds(config, name), force)
  }

  /** Packets per batch where nobody says how many: what the most demanding of the devices likes, less than a ring has. */
  usualBatch(devices: readonly DeviceAddress[], ringSize: number): number {
    const sizes = devices.map(({ kind }) => this.others.find(({ access }) => access === kind)?.batchSize)
    return Math.min(ringSize - 1, Math.max(...sizes.map((size = USUAL_BATCH) => size)))
  }

  /**
   * Whose the device is. `force`: if nobody knows it, the driver for other devices of its maker. Throws
   * IXY_ERR_DEVICE_UNSUPPORTED, with what there are drivers for, if it isn't an Ethernet controller or there is no driver.
   */
  driverOf(name: string, ids: PciIds, force: boolean): { driver: PciDriver; model: Model } {
    if (ids.classCode !== ETHERNET_CLASS)
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${name} is not a network card (class ${hex(ids.classCode)}, id ${formatIds(ids)})`,
        'choose another device: ixy-ts devices lists them',
      )
    const found = this.find(ids)
    if (found !== null) return found
    const relative = this.drivers.find(({ vendor }) => vendor.id === ids.vendorId)
    if (relative === undefined)
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${name} is not made by ${this.makers()} (id ${formatIds(ids)})`,
        `choose ${this.choice()}`,
      )
    if (!force)
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${name} is a network card that this driver doesn't know (id ${formatIds(ids)})`,
        `choose ${this.choice()}, or try it at your own risk with --force`,
      )
    return { driver: relative, model: this.identify(ids) }
  }

  private find(ids: PciIds): { driver: PciDriver; model: Model } | null {
    for (const driver of this.drivers) {
      const model = driver.identify(ids)
      if (model !== null) return { driver, model }
    }
    return null
  }

  private makers(): string {
    return alternatives([...new Set(this.drivers.map(({ vendor }) => vendor.name))])
  }

  /** `an Intel 82599, X520 or X540` */
  private choice(): string {
    return this.drivers
      .map(({ vendor, families }) => `${article(vendor.name)} ${vendor.name} ${alternatives(families)}`)
      .join(', or ')
  }
}

/**
 * Throws IXY_ERR_DEVICE_UNSUPPORTED, naming the option, if the driver of `name` can't do what is asked for. The command
 * line has refused what no driver can.
 */
export function requireWithinLimits(
  name: string,
  { limits }: Pick<Driver, 'limits'>,
  { queues, ringSize, mtu, interrupts }: Wanted,
): void {
  const refuse = (what: string, fix: string): never => {
    throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${name} ${what}`, fix)
  }
  if (queues > limits.queues)
    refuse(
      `has ${limits.queues} queue pair${limits.queues === 1 ? '' : 's'}`,
      `use --queues ${limits.queues}`,
    )
  if (interrupts && queues > limits.interruptQueues)
    refuse(
      limits.interruptQueues === 0
        ? 'has no interrupts'
        : `has interrupts for ${limits.interruptQueues} queues`,
      'use --mode poll',
    )
  const { min, max } = limits.ringSize
  if (ringSize < min || ringSize > max)
    refuse(`has rings of ${min} to ${max} descriptors`, `use --ring-size ${ringSize < min ? min : max}`)
  if (mtu > limits.mtu) refuse(`takes packets of up to ${limits.mtu} bytes`, `use --mtu ${limits.mtu}`)
}

/** What the options of a run ask of each device. */
export interface Wanted extends Pick<DeviceOptions, 'queues' | 'ringSize' | 'interrupts'> {
  readonly mtu: number
}

function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}

function article(word: string): string {
  return /^[aeiou]/i.test(word) ? 'an' : 'a'
}

export const DRIVERS = new DriverRegistry([ixgbe, virtio], [tap])
