/** Payloads about the client's memory: DMA_MAP, DMA_UNMAP, and DMA_READ, DMA_WRITE for what can't be mapped. */
import { IxyError } from '../../errors.ts'
import { allocate, getCutU64, getU64, payloadView, setU64 } from './payload.ts'

// DMA_MAP, DMA_UNMAP

export const DmaFlag = { READ: 1, WRITE: 2 } as const
/** DMA_UNMAP flag: everything goes; address and size are 0. */
export const DMA_UNMAP_ALL = 2

export interface DmaMap {
  /** `DmaFlag`s: what the device may do. */
  readonly flags: number
  /** Where the region starts in the file that comes along; 0 if none does. */
  readonly offset: number
  /** I/O virtual address. */
  readonly address: number
  readonly size: number
}

const DMA_MAP_BYTES = 32
export const DMA_UNMAP_BYTES = 24

export function encodeDmaMap(map: DmaMap): Uint8Array {
  const [payload, view] = allocate(DMA_MAP_BYTES)
  view.setUint32(0, DMA_MAP_BYTES, true)
  view.setUint32(4, map.flags, true)
  setU64(view, 8, map.offset)
  setU64(view, 16, map.address)
  setU64(view, 24, map.size)
  return payload
}

export function decodeDmaMap(payload: Uint8Array): DmaMap {
  const view = payloadView(payload, DMA_MAP_BYTES, 'DMA_MAP')
  return {
    flags: view.getUint32(4, true),
    offset: getU64(view, 8, 'the file offset of DMA_MAP'),
    address: getU64(view, 16, 'the address of DMA_MAP'),
    size: getU64(view, 24, 'the size of DMA_MAP'),
  }
}

export interface DmaUnmap {
  /** 0 or DMA_UNMAP_ALL. */
  readonly flags: number
  readonly address: number
  readonly size: number
}

/** Request and reply are the same. */
export function encodeDmaUnmap(unmap: DmaUnmap): Uint8Array {
  const [payload, view] = allocate(DMA_UNMAP_BYTES)
  view.setUint32(0, DMA_UNMAP_BYTES, true)
  view.setUint32(4, unmap.flags, true)
  setU64(view, 8, unmap.address)
  setU64(view, 16, unmap.size)
  return payload
}

/**
 * What lies beyond 2^53 - 1 is cut off: nothing can be mapped there. QEMU with an IOMMU takes back all addresses up to 2^64.
 */
export function decodeDmaUnmap(payload: Uint8Array): DmaUnmap {
  const view = payloadView(payload, DMA_UNMAP_BYTES, 'DMA_UNMAP')
  return { flags: view.getUint32(4, true), address: getCutU64(view, 8), size: getCutU64(view, 16) }
}

// DMA_READ, DMA_WRITE: from server to client

export interface DmaAccess {
  /** I/O virtual address. */
  readonly address: number
  readonly count: number
  /** Follows in a write request and a read reply; else empty. */
  readonly data: Uint8Array
}

const DMA_ACCESS_BYTES = 16

export function encodeDmaAccess(access: DmaAccess): Uint8Array {
  const [payload, view] = allocate(DMA_ACCESS_BYTES + access.data.length)
  setU64(view, 0, access.address)
  setU64(view, 8, access.count)
  payload.set(access.data, DMA_ACCESS_BYTES)
  return payload
}

/** As decodeRegionAccess. */
export function decodeDmaAccess(payload: Uint8Array, withData: boolean): DmaAccess {
  const view = payloadView(payload, DMA_ACCESS_BYTES, 'a DMA access')
  const count = getU64(view, 8, 'the size of a DMA access')
  const data = payload.subarray(DMA_ACCESS_BYTES)
  if (withData && data.length !== count)
    throw new IxyError('IXY_ERR_PROTOCOL', `a DMA access of ${count} bytes came with ${data.length}`)
  return {
    address: getU64(view, 0, 'the address of a DMA access'),
    count,
    data: withData ? data : data.subarray(0, 0),
  }
}
