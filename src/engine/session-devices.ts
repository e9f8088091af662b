/** Opens a session's devices one by one: transport, driver, rings. */
import type { Device } from '../driver/device.ts'
import type { Driver } from '../driver/driver.ts'
import { DRIVERS, requireWithinLimits } from '../driver/registry.ts'
import type { DmaArena } from '../memory/arena.ts'
import type { OffloadsSpec } from '../memory/offloads.ts'
import { FCS_BYTES, HEADER_BYTES } from '../packet/ethernet.ts'
import { type DeviceAddress, formatDevice } from '../pci/address.ts'
import type { Model } from '../pci/ids.ts'
import { openTransport } from '../pci/open.ts'
import type { Transport } from '../pci/transport.ts'
import type { PacketShape } from './session-memory.ts'
import type { CompleteSessionOptions, SessionObserver, SessionOptions } from './types.ts'
import type { Watchdog } from './watchdog.ts'

/** `socket`: of the server that plays the device, if it is a virtual one. */
export function openOne(
  address: DeviceAddress,
  socket: string | undefined,
  { access, force }: CompleteSessionOptions,
  observer: SessionObserver,
): Transport {
  const target: DeviceAddress =
    address.kind === 'virtual' && socket !== undefined ? { kind: 'vfio-user', socket } : address
  return openTransport(target, {
    access,
    force,
    known: DRIVERS,
    name: formatDevice(address),
    onSlow: (message) => observer.warning(message),
  })
}

/** With VFIO the kernel resets the card when this process has ended; without, somebody else has to. */
export function guard(
  address: DeviceAddress,
  { access }: Transport,
  watchdog: Pick<Watchdog, 'guard'> | undefined,
): void {
  if (address.kind === 'pci' && access === 'sysfs')
    watchdog?.guard({ configFile: `/sys/bus/pci/devices/${address.address}/config` })
}

/** Whose a device is. */
export interface Found {
  readonly transport: Transport
  readonly driver: Driver
  readonly model: Model
}

export function driverOf(transport: Transport, options: CompleteSessionOptions): Found {
  const found = DRIVERS.driverFor(transport, options.force)
  requireWithinLimits(transport.name, found.driver, { ...options, interrupts: wantsInterrupts(options) })
  return { transport, ...found }
}

/**
 * An app that understands open checksums need not, where no device gives packets that have one. Nor where a virtual card is to complete
 * them: it does so one by one, and takes longer than who has received them.
 */
export function offloadsOf(
  { offloads }: CompleteSessionOptions,
  drivers: readonly Found[],
  addresses: readonly DeviceAddress[],
  { pools }: PacketShape,
): OffloadsSpec | null {
  if (offloads === 'uses') return { use: offloads, pool: pools - 1 }
  const needed =
    drivers.some(({ driver }) => driver.opensChecksums === true) &&
    addresses.every(({ kind }) => kind !== 'virtual')
  return offloads !== null && needed ? { use: offloads, pool: -1 } : null
}

function wantsInterrupts({ mode }: SessionOptions): boolean {
  return mode !== 'poll'
}

export function openDevice(
  { transport, driver, model }: Found,
  arena: DmaArena,
  options: CompleteSessionOptions,
  { bufferShift }: PacketShape,
  observer: SessionObserver,
): Device {
  return driver.open(transport, arena, {
    queues: options.queues,
    ringSize: options.ringSize,
    bufferShift,
    maxFrame: HEADER_BYTES + options.mtu + FCS_BYTES,
    model,
    interrupts: wantsInterrupts(options),
    offloads: options.offloads,
    warn: (message) => observer.warning(`${transport.name}: ${message}`),
  })
}
