/**
 * Messages of vhost-user, by which the owner of memory with virtqueues in it (the front end: this program) hands them to whoever works
 * on them (the back end: DPDK, OVS, SPDK). Layouts: QEMU's docs/interop/vhost-user.rst. Everything is little-endian.
 */
import { IxyError } from '../../errors.ts'

/** The front end's requests that are used here, by number. */
export const Request = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  SET_MEM_TABLE: 5,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  SET_VRING_ENABLE: 18,
} as const

export type RequestName = keyof typeof Request

/** request 4, flags 4, bytes of the payload 4 */
export const HEADER_BYTES = 12
const VERSION = 1
const VERSION_MASK = 3
const REPLY = 1 << 2
/** The back end is to answer with 0, or with what was wrong. */
const NEED_REPLY = 1 << 3

/** Among the features of virtio (bit 30): there are protocol features, and queues have to be enabled. */
export const PROTOCOL_FEATURES = 1n << 30n
/** Protocol feature (bit 3): NEED_REPLY is understood. */
export const REPLY_ACK = 1n << 3n

/** Largest number of memory regions in a table. */
export const MAX_REGIONS = 8
/** In the place of a descriptor: there is none. */
export const NO_FD = 1 << 8

export function encodeMessage(name: RequestName, payload: Uint8Array, needReply: boolean): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(message.buffer)
  view.setUint32(0, Request[name], true)
  view.setUint32(4, VERSION | (needReply ? NEED_REPLY : 0), true)
  view.setUint32(8, payload.length, true)
  message.set(payload, HEADER_BYTES)
  return message
}

/** Throws IXY_ERR_PROTOCOL unless it is the header of a reply to `name` with a payload of `bytes`. */
export function verifyReply(header: Uint8Array, name: RequestName, bytes: number): void {
  const view = new DataView(header.buffer, header.byteOffset)
  const [request, flags, size] = [0, 4, 8].map((at) => view.getUint32(at, true))
  if (
    request !== Request[name] ||
    (flags & VERSION_MASK) !== VERSION ||
    (flags & REPLY) === 0 ||
    size !== bytes
  )
    throw new IxyError(
      'IXY_ERR_PROTOCOL',
      `${name} was answered with message ${request}, flags 0x${flags.toString(16)}, ${size} bytes`,
    )
}

export function encodeU64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer)
}

export function decodeU64(payload: Uint8Array): bigint {
  return new DataView(payload.buffer, payload.byteOffset).getBigUint64(0, true)
}

/** A queue and a number: of descriptors, of the next one, 1 for enabled. */
export function encodeVringState(index: number, value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(index, value).buffer)
}

export interface VringAddresses {
  readonly descriptors: number
  readonly used: number
  readonly available: number
}

/** Addresses are those of the front end's process as the memory table has them, not the device's. */
export function encodeVringAddr(index: number, addresses: VringAddresses): Uint8Array {
  const { descriptors, used, available } = addresses
  const payload = new DataView(new ArrayBuffer(40))
  payload.setUint32(0, index, true)
  ;[descriptors, used, available].forEach((address, i) =>
    payload.setBigUint64(8 + 8 * i, BigInt(address), true),
  )
  return new Uint8Array(payload.buffer)
}

export interface MemoryRegion {
  /** As descriptors have it. */
  readonly guestAddress: number
  readonly bytes: number
  /** As queues' addresses have it. */
  readonly userAddress: number
  /** Where it begins in its file. */
  readonly fileOffset: number
}

/** Each region's file comes along, in the same order. */
export function encodeMemTable(regions: readonly MemoryRegion[]): Uint8Array {
  const payload = new DataView(new ArrayBuffer(8 + 32 * regions.length))
  payload.setUint32(0, regions.length, true)
  regions.forEach(({ guestAddress, bytes, userAddress, fileOffset }, i) =>
    [guestAddress, bytes, userAddress, fileOffset].forEach((value, field) =>
      payload.setBigUint64(8 + 32 * i + 8 * field, BigInt(value), true),
    ),
  )
  return new Uint8Array(payload.buffer)
}
