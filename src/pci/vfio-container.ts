/**
 * The address space that all VFIO devices of this process share.
 *
 * One container for all: packets go from one device to the other in the same memory, which is then mapped and pinned
 * once. And a group, which may hold several devices (the two ports of a card), can be opened only once.
 */
import { join } from 'node:path'
import { IxyError } from '../errors.ts'
import { close, O_RDWR, open } from '../linux/file.ts'
import { isErrno } from '../linux/libc.ts'
import type { DmaSegment } from '../memory/arena.ts'
import type { PciFunction } from './function.ts'
import {
  closedContainer,
  closedGroup,
  groupInUse,
  noGroup,
  noContainer,
  sharedGroup,
  tooLittleLocked,
} from './vfio-checks.ts'
import { isViable, mapDma, requireType1, setContainer, setIommu, unmapDma } from './vfio-ioctl.ts'

interface OpenGroup {
  readonly fd: number
  users: number
}

class Container {
  readonly fd: number
  readonly groups = new Map<string, OpenGroup>()
  /** Mapped segments by IOVA, with the number of devices that asked for them. */
  readonly mapped = new Map<number, { readonly segment: DmaSegment; users: number }>()

  constructor(fd: number) {
    this.fd = fd
  }
}

let shared: Container | undefined

/** A device's share of the container. */
export interface GroupHold {
  /** The group's descriptor. */
  readonly fd: number
  map(segment: DmaSegment): void
  /** Unmaps what only this device had mapped; closes group and container behind the last. Idempotent. */
  release(): void
}

/**
 * Opens the group of `fn`, which must be bound to vfio-pci, or joins it. Throws IXY_ERR_NO_VFIO, IXY_ERR_PERMISSION,
 * IXY_ERR_DEVICE_IN_USE, each naming what is missing.
 */
export function holdGroup(fn: PciFunction, vfioDirectory = '/dev/vfio'): GroupHold {
  const name = fn.iommuGroup ?? ''
  const container = (shared ??= openContainer(vfioDirectory))
  try {
    const group = container.groups.get(name) ?? addGroup(container, fn, join(vfioDirectory, name))
    container.groups.set(name, group)
    group.users++
    return hold(container, name, group)
  } finally {
    closeIfUnused(container)
  }
}

function openContainer(vfioDirectory: string): Container {
  const path = join(vfioDirectory, 'vfio')
  let fd: number
  try {
    fd = open(path, O_RDWR)
  } catch (cause) {
    throw isErrno(cause, 'EACCES', 'EPERM') ? closedContainer(path, cause) : noContainer(path, cause)
  }
  try {
    requireType1(fd)
    return new Container(fd)
  } catch (error) {
    close(fd)
    throw error
  }
}

function addGroup(container: Container, fn: PciFunction, path: string): OpenGroup {
  const fd = openGroup(fn, path)
  try {
    if (!isViable(fd)) throw sharedGroup(fn)
    setContainer(fd, container.fd)
    if (container.groups.size === 0) setIommu(container.fd)
    return { fd, users: 0 }
  } catch (error) {
    close(fd)
    throw explainIommu(error)
  }
}

function openGroup(fn: PciFunction, path: string): number {
  try {
    return open(path, O_RDWR)
  } catch (cause) {
    if (isErrno(cause, 'EACCES', 'EPERM')) throw closedGroup(fn, path, cause)
    if (isErrno(cause, 'EBUSY')) throw groupInUse(fn, cause)
    if (isErrno(cause, 'ENOENT')) throw noGroup(fn, path, cause)
    throw cause
  }
}

function explainIommu(error: unknown): unknown {
  if (!isErrno(error, 'EPERM') || error.syscall !== 'ioctl VFIO_SET_IOMMU') return error
  return new IxyError(
    'IXY_ERR_NO_VFIO',
    'the IOMMU of this machine does not remap interrupts, so VFIO refuses it',
    'accept the risk: echo 1 | sudo tee /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts',
    { cause: error },
  )
}

function hold(container: Container, name: string, group: OpenGroup): GroupHold {
  const mine = new Set<number>()
  let held = true
  return {
    fd: group.fd,
    map(segment) {
      const entry = container.mapped.get(segment.iova)
      if (entry === undefined) {
        pin(container, segment)
        container.mapped.set(segment.iova, { segment, users: 1 })
      } else if (entry.segment.address !== segment.address || entry.segment.bytes !== segment.bytes)
        throw new IxyError('IXY_ERR_DMA', `other memory is mapped at IOVA 0x${segment.iova.toString(16)}`)
      else entry.users++
      mine.add(segment.iova)
    },
    release() {
      if (!held) return
      held = false
      for (const iova of mine) unpin(container, iova)
      group.users--
      if (group.users === 0) {
        container.groups.delete(name)
        close(group.fd)
      }
      closeIfUnused(container)
    },
  }
}

function pin(container: Container, { address, iova, bytes }: DmaSegment): void {
  try {
    mapDma(container.fd, address, iova, bytes)
  } catch (cause) {
    if (isErrno(cause, 'ENOMEM')) throw tooLittleLocked(bytes, undefined, cause)
    throw new IxyError(
      'IXY_ERR_DMA',
      `the IOMMU can't map ${bytes / 1024} KiB at 0x${iova.toString(16)}: ${String(cause)}`,
      'see the kernel log (dmesg)',
      { cause },
    )
  }
}

function unpin(container: Container, iova: number): void {
  const entry = container.mapped.get(iova)
  if (entry === undefined || --entry.users > 0) return
  container.mapped.delete(iova)
  unmapDma(container.fd, iova, entry.segment.bytes)
}

function closeIfUnused(container: Container): void {
  if (container.groups.size > 0) return
  close(container.fd)
  if (shared === container) shared = undefined
}
