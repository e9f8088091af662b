/**
 * Reading and writing the payloads of vfio-user messages.
 * Addresses and sizes are 64 bits on the wire and numbers here: readers refuse what exceeds 2^53 - 1.
 */
import { IxyError } from '../../errors.ts'

/** A view of `payload`. Throws IXY_ERR_PROTOCOL if it is shorter than `minimum` bytes. */
export function payloadView(payload: Uint8Array, minimum: number, what: string): DataView {
  if (payload.byteLength < minimum)
    throw new IxyError(
      'IXY_ERR_PROTOCOL',
      `${what} of ${payload.byteLength} bytes, at least ${minimum} expected`,
    )
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
}

/** 64 bits as a number. Throws IXY_ERR_PROTOCOL beyond 2^53 - 1; `what` names the value then. */
export function getU64(view: DataView, offset: number, what: string): number {
  const value = view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32
  if (value > Number.MAX_SAFE_INTEGER) throw new IxyError('IXY_ERR_PROTOCOL', `${what} is beyond 2^53`)
  return value
}

/** 64 bits as a number; 2^53 - 1 if it is more than that. */
export function getCutU64(view: DataView, offset: number): number {
  const value = view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32
  return Math.min(value, Number.MAX_SAFE_INTEGER)
}

export function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true)
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true)
}

/** A zeroed payload and a view of it. */
export function allocate(bytes: number): [Uint8Array, DataView] {
  const payload = new Uint8Array(bytes)
  return [payload, new DataView(payload.buffer)]
}
