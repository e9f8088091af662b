/** The VFIO calls that are used here (linux/vfio.h). */
import { IxyError } from '../errors.ts'
import { ioctl, ioctlInt } from '../linux/file.ts'
import type { MappableArea } from './bars.ts'
// vfio-user's messages have the structures of VFIO's calls.
import { RegionFlag, type RegionInfoReply, decodeRegionInfo } from './vfio-user/device-messages.ts'

/** _IO(';', 100 + n) */
const BASE = 0x3b64
const GET_API_VERSION = BASE
const CHECK_EXTENSION = BASE + 1
const SET_IOMMU = BASE + 2
const GROUP_GET_STATUS = BASE + 3
const GROUP_SET_CONTAINER = BASE + 4
const GROUP_GET_DEVICE_FD = BASE + 6
const DEVICE_GET_INFO = BASE + 7
const DEVICE_GET_REGION_INFO = BASE + 8
const DEVICE_GET_IRQ_INFO = BASE + 9
const DEVICE_SET_IRQS = BASE + 10
const DEVICE_RESET = BASE + 11
const IOMMU_MAP_DMA = BASE + 13
const IOMMU_UNMAP_DMA = BASE + 14

const TYPE1V2_IOMMU = 3
const GROUP_VIABLE = 1
const DEVICE_FLAG_RESET = 1
const DMA_READ_WRITE = 3
const IRQ_SET_DATA_NONE = 1
const IRQ_SET_DATA_EVENTFD = 4
const IRQ_SET_ACTION_TRIGGER = 0x20
const MSIX_INDEX = 2

/** A zeroed structure; its first word, argsz, is its size. */
function structure(bytes: number): [Uint8Array, DataView] {
  const memory = new Uint8Array(bytes)
  const view = new DataView(memory.buffer)
  view.setUint32(0, bytes, true)
  return [memory, view]
}

/** Throws IXY_ERR_NO_VFIO if this kernel has another VFIO than the one known here. */
export function requireType1(container: number): void {
  if (
    ioctlInt(container, 'VFIO_GET_API_VERSION', GET_API_VERSION, 0) !== 0 ||
    ioctlInt(container, 'VFIO_CHECK_EXTENSION', CHECK_EXTENSION, TYPE1V2_IOMMU) !== 1
  )
    throw new IxyError(
      'IXY_ERR_NO_VFIO',
      'this kernel offers no VFIO with a type 1 IOMMU',
      'load the module: sudo modprobe vfio_iommu_type1',
    )
}

/** Makes the container an address space of the IOMMU. It must hold a group. */
export function setIommu(container: number): void {
  ioctlInt(container, 'VFIO_SET_IOMMU', SET_IOMMU, TYPE1V2_IOMMU)
}

/** False if a device of the group is used by another kernel driver. */
export function isViable(group: number): boolean {
  const [memory, view] = structure(8)
  ioctl(group, 'VFIO_GROUP_GET_STATUS', GROUP_GET_STATUS, memory)
  return (view.getUint32(4, true) & GROUP_VIABLE) !== 0
}

export function setContainer(group: number, container: number): void {
  ioctl(group, 'VFIO_GROUP_SET_CONTAINER', GROUP_SET_CONTAINER, Int32Array.of(container))
}

/** A descriptor of the device; the caller closes it. */
export function getDevice(group: number, address: string): number {
  return ioctl(group, 'VFIO_GROUP_GET_DEVICE_FD', GROUP_GET_DEVICE_FD, Buffer.from(`${address}\0`))
}

/** Resets the function if it can be. */
export function resetDevice(device: number): void {
  const [memory, view] = structure(24)
  ioctl(device, 'VFIO_DEVICE_GET_INFO', DEVICE_GET_INFO, memory)
  if ((view.getUint32(4, true) & DEVICE_FLAG_RESET) !== 0)
    ioctlInt(device, 'VFIO_DEVICE_RESET', DEVICE_RESET, 0)
}

export interface VfioRegion {
  readonly bytes: number
  /** Where it starts in the device's descriptor. */
  readonly offset: number
  /** What of it may be mapped: [] for nothing. */
  readonly mappable: 'all' | readonly MappableArea[]
}

/** `index`: 0–5 the BARs, 7 the configuration space. */
export function getRegion(device: number, index: number): VfioRegion {
  const ask = (room: number): RegionInfoReply => {
    const [memory, view] = structure(room)
    view.setUint32(8, index, true)
    ioctl(device, 'VFIO_DEVICE_GET_REGION_INFO', DEVICE_GET_REGION_INFO, memory)
    return decodeRegionInfo(memory)
  }
  const first = ask(32)
  const { size, offset, flags, areas } = first.argsz > 32 ? ask(first.argsz) : first
  const mappable = (flags & RegionFlag.MMAP) === 0 ? [] : (areas ?? 'all')
  return { bytes: size, offset, mappable }
}

/** How many MSI-X vectors the device has. */
export function countVectors(device: number): number {
  const [memory, view] = structure(16)
  view.setUint32(8, MSIX_INDEX, true)
  ioctl(device, 'VFIO_DEVICE_GET_IRQ_INFO', DEVICE_GET_IRQ_INFO, memory)
  return view.getUint32(12, true)
}

/** Signals MSI-X vector i through `eventfds[i]`; none: switches MSI-X off. */
export function setVectors(device: number, eventfds: readonly number[]): void {
  const [memory, view] = structure(20 + eventfds.length * 4)
  const data = eventfds.length === 0 ? IRQ_SET_DATA_NONE : IRQ_SET_DATA_EVENTFD
  view.setUint32(4, data | IRQ_SET_ACTION_TRIGGER, true)
  view.setUint32(8, MSIX_INDEX, true)
  view.setUint32(16, eventfds.length, true)
  eventfds.forEach((fd, index) => view.setInt32(20 + index * 4, fd, true))
  ioctl(device, 'VFIO_DEVICE_SET_IRQS', DEVICE_SET_IRQS, memory)
}

/** Lets the devices of the container reach `bytes` at `address` under `iova`. The kernel pins the pages. */
export function mapDma(container: number, address: bigint, iova: number, bytes: number): void {
  const [memory, view] = structure(32)
  view.setUint32(4, DMA_READ_WRITE, true)
  view.setBigUint64(8, address, true)
  view.setBigUint64(16, BigInt(iova), true)
  view.setBigUint64(24, BigInt(bytes), true)
  ioctl(container, 'VFIO_IOMMU_MAP_DMA', IOMMU_MAP_DMA, memory)
}

export function unmapDma(container: number, iova: number, bytes: number): void {
  const [memory, view] = structure(24)
  view.setBigUint64(8, BigInt(iova), true)
  view.setBigUint64(16, BigInt(bytes), true)
  ioctl(container, 'VFIO_IOMMU_UNMAP_DMA', IOMMU_UNMAP_DMA, memory)
}
