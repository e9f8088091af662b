/** Payloads of register accesses: REGION_READ, REGION_WRITE, REGION_WRITE_MULTI. */
import { IxyError } from '../../errors.ts'
import { allocate, getU64, payloadView, setU64 } from './payload.ts'

export interface RegionAccess {
  readonly offset: number
  readonly region: number
  /** Bytes to transfer. */
  readonly count: number
  /** What follows: the bytes of a write request or a read reply; empty in the other two. */
  readonly data: Uint8Array
}

const REGION_ACCESS_BYTES = 16

/** Request and reply of REGION_READ and REGION_WRITE. */
export function encodeRegionAccess(access: RegionAccess): Uint8Array {
  const [payload, view] = allocate(REGION_ACCESS_BYTES + access.data.length)
  setU64(view, 0, access.offset)
  view.setUint32(8, access.region, true)
  view.setUint32(12, access.count, true)
  payload.set(access.data, REGION_ACCESS_BYTES)
  return payload
}

/** With `withData` (write request, read reply) exactly `count` bytes must follow; else none are looked at. */
export function decodeRegionAccess(payload: Uint8Array, withData: boolean): RegionAccess {
  const view = payloadView(payload, REGION_ACCESS_BYTES, 'a region access')
  const count = view.getUint32(12, true)
  const data = payload.subarray(REGION_ACCESS_BYTES)
  if (withData && data.length !== count)
    throw new IxyError('IXY_ERR_PROTOCOL', `a region access of ${count} bytes came with ${data.length}`)
  return {
    offset: getU64(view, 0, 'the offset of a region access'),
    region: view.getUint32(8, true),
    count,
    data: withData ? data : data.subarray(0, 0),
  }
}

const MULTI_ENTRY_BYTES = 24
const MULTI_DATA_BYTES = 8

/** Several writes of up to 8 bytes each, in order. */
export function encodeRegionWriteMulti(writes: readonly RegionAccess[]): Uint8Array {
  const [payload, view] = allocate(8 + writes.length * MULTI_ENTRY_BYTES)
  setU64(view, 0, writes.length)
  writes.forEach((write, index) => {
    const at = 8 + index * MULTI_ENTRY_BYTES
    setU64(view, at, write.offset)
    view.setUint32(at + 8, write.region, true)
    view.setUint32(at + 12, write.count, true)
    payload.set(write.data.subarray(0, MULTI_DATA_BYTES), at + 16)
  })
  return payload
}

export function decodeRegionWriteMulti(payload: Uint8Array): RegionAccess[] {
  const view = payloadView(payload, 8, 'REGION_WRITE_MULTI')
  const writes = getU64(view, 0, 'the number of writes')
  if (8 + writes * MULTI_ENTRY_BYTES > payload.length)
    throw new IxyError(
      'IXY_ERR_PROTOCOL',
      `REGION_WRITE_MULTI of ${writes} writes in ${payload.length} bytes`,
    )
  return Array.from({ length: writes }, (_, index) => {
    const at = 8 + index * MULTI_ENTRY_BYTES
    const count = view.getUint32(at + 12, true)
    if (count > MULTI_DATA_BYTES)
      throw new IxyError('IXY_ERR_PROTOCOL', `a write of ${count} bytes in REGION_WRITE_MULTI`)
    return {
      offset: getU64(view, at, 'the offset of a write'),
      region: view.getUint32(at + 8, true),
      count,
      data: payload.subarray(at + 16, at + 16 + count),
    }
  })
}

/** The reply: how many writes were done. */
export function encodeWriteMultiReply(writes: number): Uint8Array {
  const [payload, view] = allocate(8)
  setU64(view, 0, writes)
  return payload
}
