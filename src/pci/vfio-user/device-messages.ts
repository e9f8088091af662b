/** Payloads that describe a device and its regions: DEVICE_GET_INFO, DEVICE_GET_REGION_INFO. */
import { IxyError } from '../../errors.ts'
import { allocate, getU64, payloadView, setU64 } from './payload.ts'

// DEVICE_GET_INFO

export const DeviceFlag = { RESET: 1, PCI: 2 } as const

export interface DeviceInfo {
  /** `DeviceFlag`s. 0 in a request. */
  readonly flags: number
  readonly regions: number
  readonly irqs: number
}

const DEVICE_INFO_BYTES = 16

export function encodeDeviceInfo(info: DeviceInfo): Uint8Array {
  const [payload, view] = allocate(DEVICE_INFO_BYTES)
  view.setUint32(0, DEVICE_INFO_BYTES, true)
  view.setUint32(4, info.flags, true)
  view.setUint32(8, info.regions, true)
  view.setUint32(12, info.irqs, true)
  return payload
}

export function decodeDeviceInfo(payload: Uint8Array): DeviceInfo {
  const view = payloadView(payload, DEVICE_INFO_BYTES, 'DEVICE_GET_INFO')
  return { flags: view.getUint32(4, true), regions: view.getUint32(8, true), irqs: view.getUint32(12, true) }
}

// DEVICE_GET_REGION_INFO

export const RegionFlag = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const
const CAP_SPARSE_MMAP = 1
const REGION_INFO_BYTES = 32
const CAP_HEADER_BYTES = 8

/** A stretch of a region that may be mapped, in bytes from the region's start. */
export interface SparseArea {
  readonly offset: number
  readonly size: number
}

export interface RegionInfo {
  /** `RegionFlag`s; CAPS is set by the encoder. */
  readonly flags: number
  readonly index: number
  readonly size: number
  /** Where the region starts in the file that comes along; a sparse area starts at this plus its own offset. */
  readonly offset: number
  /** What may be mapped if it isn't all. */
  readonly areas?: readonly SparseArea[]
}

export function encodeRegionInfoRequest(index: number, argsz: number): Uint8Array {
  const [payload, view] = allocate(REGION_INFO_BYTES)
  view.setUint32(0, argsz, true)
  view.setUint32(8, index, true)
  return payload
}

export interface RegionInfoRequest {
  /** Bytes of reply payload the client has room for. */
  readonly argsz: number
  readonly index: number
}

export function decodeRegionInfoRequest(payload: Uint8Array): RegionInfoRequest {
  const view = payloadView(payload, REGION_INFO_BYTES, 'DEVICE_GET_REGION_INFO')
  return { argsz: view.getUint32(0, true), index: view.getUint32(8, true) }
}

/**
 * The reply for a client with room for `room` bytes. If the capabilities don't fit they are cut off, but the reply
 * still says where they would be and how many bytes the whole takes: the client asks again.
 */
export function encodeRegionInfo(info: RegionInfo, room: number): Uint8Array {
  const areas = info.areas ?? []
  const capabilityBytes = areas.length === 0 ? 0 : CAP_HEADER_BYTES + 8 + areas.length * 16
  const [payload, view] = allocate(REGION_INFO_BYTES + capabilityBytes)
  view.setUint32(0, payload.length, true)
  view.setUint32(4, info.flags | (capabilityBytes === 0 ? 0 : RegionFlag.CAPS), true)
  view.setUint32(8, info.index, true)
  view.setUint32(12, capabilityBytes === 0 ? 0 : REGION_INFO_BYTES, true)
  setU64(view, 16, info.size)
  setU64(view, 24, info.offset)
  if (capabilityBytes > 0) {
    view.setUint16(32, CAP_SPARSE_MMAP, true)
    view.setUint16(34, 1, true)
    view.setUint32(40, areas.length, true)
    areas.forEach((area, index) => {
      setU64(view, 48 + index * 16, area.offset)
      setU64(view, 56 + index * 16, area.size)
    })
  }
  return room >= payload.length ? payload : payload.subarray(0, REGION_INFO_BYTES)
}

export interface RegionInfoReply extends RegionInfo {
  /** Bytes of the whole reply. If more than were asked for, the areas are missing here: ask again with this many. */
  readonly argsz: number
}

export function decodeRegionInfo(payload: Uint8Array): RegionInfoReply {
  const view = payloadView(payload, REGION_INFO_BYTES, 'the reply to DEVICE_GET_REGION_INFO')
  const flags = view.getUint32(4, true)
  const base = {
    argsz: view.getUint32(0, true),
    flags,
    index: view.getUint32(8, true),
    size: getU64(view, 16, 'the size of a region'),
    offset: getU64(view, 24, 'the offset of a region'),
  }
  const areas = (flags & RegionFlag.CAPS) === 0 ? undefined : decodeAreas(view, view.getUint32(12, true))
  return areas === undefined ? base : { ...base, areas }
}

/** Walks the list of capabilities as far as it was sent. `next` only leads forward, so the walk ends. */
function decodeAreas(view: DataView, first: number): SparseArea[] | undefined {
  let at = first
  while (at >= REGION_INFO_BYTES && at + CAP_HEADER_BYTES + 8 <= view.byteLength) {
    if (view.getUint16(at, true) === CAP_SPARSE_MMAP) {
      const count = view.getUint32(at + 8, true)
      if (at + 16 + count * 16 > view.byteLength)
        throw new IxyError('IXY_ERR_PROTOCOL', `${count} sparse areas in a reply of ${view.byteLength} bytes`)
      return Array.from({ length: count }, (_, index) => ({
        offset: getU64(view, at + 16 + index * 16, 'a sparse area'),
        size: getU64(view, at + 24 + index * 16, 'a sparse area'),
      }))
    }
    const next = view.getUint32(at + 4, true)
    if (next <= at) return undefined
    at = next
  }
  return undefined
}
