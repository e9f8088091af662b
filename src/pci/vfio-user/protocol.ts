/**
 * The vfio-user protocol: what the client (client.ts) and the virtual NIC's server say to each other.
 * Specification: docs/interop/vfio-user.rst of QEMU, of which this is version 0.1 to 0.2 without migration.
 *
 * A message is a 16-byte header and a payload (the *-messages.ts files), little-endian, over a UNIX stream socket:
 *
 *      0        2         4              8         12            16
 *      | id u16 | cmd u16 | size u32     | flags u32 | error u32 | payload… up to `size` bytes in all
 *
 * Each command is answered by a reply with the same id and command, unless NO_REPLY is set. A failed command is
 * answered by a bare header with REPLY | ERROR and an errno.
 *
 * Everything decoded here comes from another process: decoders check lengths and ranges and throw IXY_ERR_PROTOCOL.
 */
import { IxyError } from '../../errors.ts'
import { payloadView } from './payload.ts'

export * from './device-messages.ts'
export * from './dma-messages.ts'
export * from './irq-messages.ts'
export * from './region-messages.ts'

export const Command = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_REGION_IO_FDS: 6,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  /** From server to client, for memory that can't be mapped. */
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  REGION_WRITE_MULTI: 15,
} as const

const COMMAND_NAMES = new Map<number, string>(Object.entries(Command).map(([name, number]) => [number, name]))

/** `DMA_MAP`, or `command 99`. */
export function commandName(command: number): string {
  return COMMAND_NAMES.get(command) ?? `command ${command}`
}

/** Header flags. Bits 0–3 are the message's type. */
export const MessageFlag = { TYPE_MASK: 0xf, COMMAND: 0x0, REPLY: 0x1, NO_REPLY: 0x10, ERROR: 0x20 } as const

/** Region indexes of a PCI device (linux/vfio.h). BARs 1–5 follow BAR0. */
export const Region = {
  BAR0: 0,
  BAR1: 1,
  BAR2: 2,
  BAR3: 3,
  BAR4: 4,
  BAR5: 5,
  ROM: 6,
  CONFIG: 7,
  VGA: 8,
} as const
export const REGION_COUNT = 9

/** Interrupt types of a PCI device (linux/vfio.h). */
export const Irq = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const
export const IRQ_COUNT = 5

export const HEADER_BYTES = 16
/** `max_data_xfer_size` where the peer names none. */
export const DEFAULT_MAX_DATA_BYTES = 1024 * 1024
/** No message is larger: the largest transfer with its header and structure. */
export const MAX_MESSAGE_BYTES = DEFAULT_MAX_DATA_BYTES + 4096
/** `max_msg_fds` where the peer names none. */
export const DEFAULT_MAX_MESSAGE_FDS = 1

export interface Header {
  /** The sender's; echoed in the reply. 0 to 65535. */
  readonly id: number
  /** One of `Command`, if the peer is sane. */
  readonly command: number
  /** Bytes of the whole message, header included. */
  readonly size: number
  /** `MessageFlag`s. */
  readonly flags: number
  /** Errno of a failed command in a reply with ERROR; else 0. */
  readonly error: number
}

export function encodeHeader(header: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, header.id, true)
  view.setUint16(2, header.command, true)
  view.setUint32(4, header.size, true)
  view.setUint32(8, header.flags, true)
  view.setUint32(12, header.error, true)
  return bytes
}

/** Throws IXY_ERR_PROTOCOL if `bytes` is no header or announces an impossible size. After that the stream is lost. */
export function decodeHeader(bytes: Uint8Array): Header {
  const view = payloadView(bytes, HEADER_BYTES, 'message header')
  const size = view.getUint32(4, true)
  if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES)
    throw new IxyError('IXY_ERR_PROTOCOL', `vfio-user message of ${size} bytes`)
  return {
    id: view.getUint16(0, true),
    command: view.getUint16(2, true),
    size,
    flags: view.getUint32(8, true),
    error: view.getUint32(12, true),
  }
}

export const VERSION_MAJOR = 0
/** 0.2 is what QEMU's client proposes as well; the commands used here are the same in 0.1. */
export const VERSION_MINOR = 2

/** What a peer can do, in the JSON of VERSION. Keys are the protocol's. Missing keys: see the specification's defaults. */
export interface Capabilities {
  readonly max_msg_fds?: number
  readonly max_data_xfer_size?: number
  readonly max_dma_maps?: number
  /** Page sizes for DMA_MAP, or'ed. */
  readonly pgsizes?: number
  /** REGION_WRITE_MULTI is understood. */
  readonly write_multiple?: boolean
  /**
   * Ours, not the specification's. A client that proposes it writes the tail registers (RDT, TDT) by memory and all
   * others by message, and reads by message only. A server that agrees offers the pages 0x1000 and 0x6000 of BAR0 as
   * sparse mappings of one file, polls the tails there, and puts tails that come by message there as well. If it also offers
   * HANDOVER_OFFSET, that page is what linux/handover.ts says.
   */
  readonly ixy_shared_doorbells?: boolean
}

/** In BAR0, behind the last register of an 82599 (§8.1.1). */
export const HANDOVER_OFFSET = 0x20000

export interface Version {
  readonly major: number
  readonly minor: number
  readonly capabilities: Capabilities
}

export function encodeVersion(version: Version): Uint8Array {
  const json = Buffer.from(`${JSON.stringify({ capabilities: version.capabilities })}\0`)
  const bytes = new Uint8Array(4 + json.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, version.major, true)
  view.setUint16(2, version.minor, true)
  bytes.set(json, 4)
  return bytes
}

/** Throws IXY_ERR_PROTOCOL for broken JSON and for known capabilities of the wrong type; unknown ones are ignored. */
export function decodeVersion(payload: Uint8Array): Version {
  const view = payloadView(payload, 4, 'VERSION')
  return {
    major: view.getUint16(0, true),
    minor: view.getUint16(2, true),
    capabilities: parseCapabilities(Buffer.from(payload.subarray(4)).toString().split('\0')[0]),
  }
}

const NUMBERS = ['max_msg_fds', 'max_data_xfer_size', 'max_dma_maps', 'pgsizes'] as const
const BOOLEANS = ['write_multiple', 'ixy_shared_doorbells'] as const

function parseCapabilities(json: string): Capabilities {
  if (json === '') return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (cause) {
    throw new IxyError('IXY_ERR_PROTOCOL', 'the capabilities of VERSION are not JSON', '', { cause })
  }
  const given: unknown = isObject(parsed) ? (parsed['capabilities'] ?? {}) : parsed
  if (!isObject(given))
    throw new IxyError('IXY_ERR_PROTOCOL', 'the capabilities of VERSION are not an object')
  const result: Record<string, number | boolean> = {}
  for (const key of NUMBERS) {
    const value = given[key]
    if (value === undefined) continue
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw new IxyError('IXY_ERR_PROTOCOL', `the capability ${key} is not a whole number`)
    result[key] = value
  }
  for (const key of BOOLEANS) {
    const value = given[key]
    if (value === undefined) continue
    if (typeof value !== 'boolean')
      throw new IxyError('IXY_ERR_PROTOCOL', `the capability ${key} is not true or false`)
    result[key] = value
  }
  return result
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
