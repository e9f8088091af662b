/** Where a function has its structures of registers, as it says itself (virtio 1.2 §4.1.4). */
import { IxyError } from '../../errors.ts'
import { listCapabilities } from '../../pci/config-space.ts'
import type { ReadableConfig } from '../../pci/transport.ts'
import { COMMON_BYTES } from './registers.ts'

/** A stretch of a BAR. */
export interface Place {
  readonly bar: number
  readonly offset: number
  readonly bytes: number
}

export interface Places {
  readonly common: Place
  /** `multiplier`: bytes from one doorbell to the next. */
  readonly notify: Place & { readonly multiplier: number }
  readonly isr: Place | null
  /** Configuration of the network card. */
  readonly net: Place
}

const VENDOR_SPECIFIC = 0x09
/** cfg_type (§4.1.4). */
const COMMON_CFG = 1
const NOTIFY_CFG = 2
const ISR_CFG = 3
const DEVICE_CFG = 4
/** There are six BARs; larger numbers are reserved, and such capabilities to be ignored. */
const BARS = 6

/** Fields of a capability, from its first byte on. */
const CAP_LENGTH = 2
const CFG_TYPE = 3
const BAR = 4
const OFFSET = 8
const LENGTH = 12
const MULTIPLIER = 16

const MSIX = 0x11
const MSIX_CONTROL = 2
const MSIX_ENABLED = 0x8000

/**
 * The structures of virtio 1.0 and later; null if the function has none: a legacy one. Of several of a type the first counts, which
 * is the one that the device prefers. Throws IXY_ERR_DEVICE_UNSUPPORTED if there are some, but not all that are needed.
 */
export function findPlaces(config: ReadableConfig, name: string): Places | null {
  const found = new Map<number, Place & { multiplier: number }>()
  for (const { id, offset: at } of listCapabilities(config, name)) {
    if (id !== VENDOR_SPECIFIC || config.read8(at + CAP_LENGTH) < LENGTH + 4) continue
    const type = config.read8(at + CFG_TYPE)
    const bar = config.read8(at + BAR)
    if (bar >= BARS || found.has(type)) continue
    found.set(type, {
      bar,
      offset: config.read32(at + OFFSET),
      bytes: config.read32(at + LENGTH),
      multiplier: type === NOTIFY_CFG ? config.read32(at + MULTIPLIER) : 0,
    })
  }
  const common = found.get(COMMON_CFG)
  const notify = found.get(NOTIFY_CFG)
  const net = found.get(DEVICE_CFG)
  if (common === undefined && notify === undefined && net === undefined) return null
  if (common === undefined || notify === undefined || net === undefined || common.bytes < COMMON_BYTES)
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${name} doesn't say where all of its registers are (common, notify and device configuration, virtio 1.2 §4.1.4)`,
      'report it to whoever makes it',
    )
  return { common, notify, isr: found.get(ISR_CFG) ?? null, net }
}

/** Whether MSI-X is enabled: then a legacy function has more registers (§4.1.4.10). */
export function msixEnabled(config: ReadableConfig, name: string): boolean {
  const msix = listCapabilities(config, name).find(({ id }) => id === MSIX)
  return msix !== undefined && (config.read16(msix.offset + MSIX_CONTROL) & MSIX_ENABLED) !== 0
}
