/** Configuration space and BARs of a device behind a vfio-user server. */
import { fstatSync } from 'node:fs'
import { IxyError } from '../../errors.ts'
import { closeInBackground } from '../../linux/background-close.ts'
import { shrinkingOf } from '../../linux/file.ts'
import { mmap } from '../../linux/mapping.ts'
import { type Bar, CalledBar, MappablePages, PAGE, enableSpace } from '../bars.ts'
import { ByWidth } from '../by-width.ts'
import type { ConfigSpace } from '../transport.ts'
import type { Undo } from '../../undo.ts'
import type { Connection } from './connection.ts'
import {
  Command,
  decodeRegionAccess,
  decodeRegionInfo,
  encodeRegionAccess,
  encodeRegionInfoRequest,
  Region,
  RegionFlag,
  type RegionInfoReply,
} from './protocol.ts'

const NO_DATA = new Uint8Array(0)

/** Reads `bytes` (1, 2 or 4) as an unsigned little-endian number. */
function readRegion(connection: Connection, region: number, offset: number, bytes: number): number {
  return readAll(connection, region, [offset], bytes)[0]
}

/** The same at each of `offsets`, in this order; what is one behind the other is one access, which a server of ours takes apart. */
function readAll(
  connection: Connection,
  region: number,
  offsets: readonly number[],
  bytes: number,
): number[] {
  const runs: { readonly offset: number; count: number }[] = []
  for (const offset of offsets) {
    const last = runs.at(-1)
    if (last !== undefined && offset === last.offset + last.count) last.count += bytes
    else runs.push({ offset, count: bytes })
  }
  const requests = runs.map((run) => encodeRegionAccess({ ...run, region, data: NO_DATA }))
  const replies = connection.requestAll(Command.REGION_READ, requests)
  return replies.flatMap((payload, i) => {
    const { count } = runs[i]
    const data = connection.decode(() => decodeRead(payload, count))
    return Array.from({ length: count / bytes }, (_, at) =>
      valueOf(data.subarray(at * bytes, (at + 1) * bytes)),
    )
  })
}

function valueOf(data: Uint8Array): number {
  let value = 0
  for (let index = data.length - 1; index >= 0; index--) value = value * 256 + data[index]
  return value
}

function decodeRead(payload: Uint8Array, bytes: number): Uint8Array {
  const { data } = decodeRegionAccess(payload, true)
  if (data.length !== bytes)
    throw new IxyError('IXY_ERR_PROTOCOL', `a read of ${bytes} bytes was answered with ${data.length}`)
  return data
}

function writeRegion(
  connection: Connection,
  region: number,
  offset: number,
  bytes: number,
  value: number,
): void {
  const data = new Uint8Array(bytes)
  for (let index = 0; index < bytes; index++) data[index] = value >>> (8 * index)
  connection.request(Command.REGION_WRITE, encodeRegionAccess({ offset, region, count: bytes, data }))
}

export class RemoteConfigSpace extends ByWidth implements ConfigSpace {
  private readonly connection: Connection

  constructor(connection: Connection) {
    super()
    this.connection = connection
  }

  protected read(offset: number, bytes: number): number {
    return readRegion(this.connection, Region.CONFIG, offset, bytes)
  }

  protected write(offset: number, bytes: number, value: number): void {
    writeRegion(this.connection, Region.CONFIG, offset, bytes, value)
  }
}

/** Room for a region's description with more sparse areas than most devices have. */
const REGION_INFO_ROOM = 4096
/** More than that no description is believed to take. */
const MAX_REGION_INFO = 65_536

/**
 * Asks the server for a BAR; null if the device has none of this number. Every access is a message and its reply, so a write
 * has arrived when write32 returns. Pages that the server shares are mapped when a doorbell on them is asked for.
 */
export function openRemoteBar(
  connection: Connection,
  config: ConfigSpace,
  name: string,
  index: number,
  undo: Undo,
): Bar | null {
  const { info, fd } = askForRegion(connection, index)
  if (fd !== undefined) undo.push(() => closeInBackground(fd))
  if (info.size === 0) return null
  const areas = (info.flags & RegionFlag.MMAP) === 0 ? [] : (info.areas ?? [{ offset: 0, size: info.size }])
  return new CalledBar({
    bytes: info.size,
    space: enableSpace(config, index),
    access: {
      read: (offset, bytes) => readRegion(connection, index, offset, bytes),
      write: (offset, bytes, value) => writeRegion(connection, index, offset, bytes, value),
      readAll: (offsets, bytes) => readAll(connection, index, offsets, bytes),
    },
    pages:
      fd === undefined ? null : new MappablePages(areas, (page) => mapPage(name, fd, info.offset + page)),
    // Messages are for the one thread that has the connection.
    doorbell: () => null,
  })
}

/** The first descriptor that comes along is the region's; others mean nothing. */
function askForRegion(
  connection: Connection,
  index: number,
): { info: RegionInfoReply; fd: number | undefined } {
  const ask = (room: number): { info: RegionInfoReply; fd: number | undefined } => {
    const request = encodeRegionInfoRequest(index, room)
    const { payload, fds } = connection.requestFiles(Command.DEVICE_GET_REGION_INFO, request)
    const [fd, ...others] = fds
    others.forEach(closeInBackground)
    try {
      return { info: connection.decode(() => decodeRegionInfo(payload)), fd }
    } catch (error) {
      if (fd !== undefined) closeInBackground(fd)
      throw error
    }
  }
  const first = ask(REGION_INFO_ROOM)
  if (first.info.argsz <= REGION_INFO_ROOM) return first
  if (first.fd !== undefined) closeInBackground(first.fd)
  return ask(Math.min(first.info.argsz, MAX_REGION_INFO))
}

/** Maps a page of the server's file, if that can do this process no harm. */
function mapPage(name: string, fd: number, offset: number): bigint {
  if (shrinkingOf(fd) !== 'never')
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `the server of ${name} could take away the memory of the tail registers, which would end this process`,
      'use a server that seals it (F_SEAL_SHRINK): ixy-ts vnic',
    )
  // Beyond the end of the file a mapping exists, but touching it would end this process.
  if (offset % PAGE !== 0 || fstatSync(fd).size < offset + PAGE)
    throw new IxyError(
      'IXY_ERR_PROTOCOL',
      `the server of ${name} shares a file without the tail registers`,
      'start it again, or report it to its authors',
    )
  return mmap(PAGE, { fd, offset })
}
