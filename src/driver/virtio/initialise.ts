/** The first steps with a device: reset, and what both sides agree on (virtio 1.2 §3.1.1). */
import { IxyError } from '../../errors.ts'
import { pollUntil } from '../../linux/clock.ts'
import type { Transport } from '../../pci/transport.ts'
import { FEATURES, type Features, choose } from './features.ts'
import type { VirtioFunction } from './function.ts'
import { STATUS } from './registers.ts'

/** Milliseconds that a reset may take. */
const RESET_DEADLINE = 1000

/** Writes 0 and waits until that is what it reads (§4.1.4.3.2). */
export function resetFunction(fn: VirtioFunction, name: string): void {
  fn.status = 0
  let status = 0
  const isReset = (): boolean => (status = fn.status) === 0
  if (pollUntil(isReset, RESET_DEADLINE)) return
  throw new IxyError(
    'IXY_ERR_REGISTER',
    `${name}: device_status is 0x${status.toString(16)}, not 0, ${RESET_DEADLINE} ms after a reset (virtio 1.2 §4.1.4.3.2)`,
    'restart the virtual machine',
  )
}

/**
 * Steps 2 to 6: tells the device that somebody drives it, and accepts what of its features `choose()` names. Throws
 * IXY_ERR_DEVICE_UNSUPPORTED if the device can't be used like that.
 */
export function negotiate(fn: VirtioFunction, transport: Transport, queues: number): Features {
  fn.status = STATUS.ACKNOWLEDGE
  fn.status |= STATUS.DRIVER
  const offered = fn.offered()
  requireIsolation(transport, offered)
  const features = choose(offered, queues)
  fn.accept(features)
  // A legacy device has no say in it.
  if (fn.legacy) return features
  fn.status |= STATUS.FEATURES_OK
  if ((fn.status & STATUS.FEATURES_OK) === 0)
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${transport.name} can't work with the features that this driver knows (FEATURES_OK, virtio 1.2 §3.1.1); it offers ${[...offered].join(', ')}`,
      'switch those features of the device off',
    )
  return features
}

/**
 * Without ACCESS_PLATFORM the device takes addresses as physical ones, whatever the IOMMU is told (§6): through VFIO it would write over
 * somebody's memory.
 */
function requireIsolation({ access, name }: Transport, offered: Features): void {
  if (access !== 'vfio' || offered.has(FEATURES.ACCESS_PLATFORM)) return
  throw new IxyError(
    'IXY_ERR_DEVICE_UNSUPPORTED',
    `${name} goes past the IOMMU (it doesn't offer ACCESS_PLATFORM, virtio 1.2 §6), so through VFIO it would write to wrong memory`,
    'use --access sysfs as root, or give the device iommu_platform=on (QEMU)',
  )
}
