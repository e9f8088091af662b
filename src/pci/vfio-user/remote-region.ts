/** Configuration space and registers of a device behind a vfio-user server. */
import { IxyError } from '../../errors.ts'
import type { ConfigSpace, RegisterWindow } from '../transport.ts'
import type { Connection } from './connection.ts'
import { Command, decodeRegionAccess, encodeRegionAccess, Region } from './protocol.ts'

const NO_DATA = new Uint8Array(0)

/** Reads `bytes` (1, 2 or 4) as an unsigned little-endian number. */
function readRegion(connection: Connection, region: number, offset: number, bytes: number): number {
  const request = encodeRegionAccess({ offset, region, count: bytes, data: NO_DATA })
  const payload = connection.request(Command.REGION_READ, request)
  const data = connection.decode(() => decodeRead(payload, bytes))
  let value = 0
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + data[index]
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

export class RemoteConfigSpace implements ConfigSpace {
  private readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  read8(offset: number): number {
    return readRegion(this.connection, Region.CONFIG, offset, 1)
  }

  read16(offset: number): number {
    return readRegion(this.connection, Region.CONFIG, offset, 2)
  }

  read32(offset: number): number {
    return readRegion(this.connection, Region.CONFIG, offset, 4)
  }

  write16(offset: number, value: number): void {
    writeRegion(this.connection, Region.CONFIG, offset, 2, value)
  }
}

/** BAR0. Every access is a message and its reply, so a write has arrived when write32 returns. */
export class RemoteRegisters implements RegisterWindow {
  readonly bytes: number
  private readonly connection: Connection

  constructor(connection: Connection, bytes: number) {
    this.connection = connection
    this.bytes = bytes
  }

  read32(offset: number): number {
    return readRegion(this.connection, Region.BAR0, offset, 4)
  }

  write32(offset: number, value: number): void {
    writeRegion(this.connection, Region.BAR0, offset, 4, value)
  }
}
