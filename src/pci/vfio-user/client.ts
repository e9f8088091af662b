/**
 * The way to a device that another process emulates (vfio-user): registers by message, tail registers and packet
 * memory shared. Needs no privileges; the server is the device and its IOMMU in one.
 */
import { fstatSync } from 'node:fs'
import { closeInBackground } from '../../linux/background-close.ts'
import { isErrno } from '../../linux/libc.ts'
import { IxyError } from '../../errors.ts'
import { close, createEventFd, shrinkingOf } from '../../linux/file.ts'
import { mmap, munmap } from '../../linux/mapping.ts'
import type { DmaSegment } from '../../memory/arena.ts'
import { type KnownDevices, readIds } from '../ids.ts'
import { setBusMaster } from '../register-access.ts'
import type { Transport } from '../transport.ts'
import { Undo } from '../../undo.ts'
import { Connection, type OnSlow } from './connection.ts'
import {
  Command,
  decodeDeviceInfo,
  decodeIrqInfo,
  decodeRegionInfo,
  decodeVersion,
  DEFAULT_MAX_MESSAGE_FDS,
  DeviceFlag,
  DmaFlag,
  encodeDeviceInfo,
  encodeDmaMap,
  encodeIrqInfo,
  encodeIrqSet,
  encodeRegionInfoRequest,
  encodeVersion,
  Irq,
  IrqSetFlag,
  Region,
  RegionFlag,
  type RegionInfoReply,
  type SparseArea,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './protocol.ts'
import { RemoteConfigSpace, RemoteRegisters } from './remote-region.ts'

/** Pages of BAR0 with the tail registers: RDT of queues 0–63 (82599 §8.2.3.8.5), TDT of 0–127 (§8.2.3.9.9, first page). */
const DOORBELL_PAGES = [0x1000, 0x6000]
const PAGE = 4096
/** Room for a region's description with more sparse areas than any NIC needs. */
const REGION_INFO_ROOM = 4096

export interface VfioUserOptions {
  readonly known: KnownDevices
  /** Takes a NIC of an unknown model. */
  readonly force: boolean
  /** Name of the device in output; `vfio-user:<socket>` by default. */
  readonly name?: string
  /** Milliseconds the server has for each answer; 5 s by default. */
  readonly deadline?: number
  /** Told when the server takes long to answer. */
  readonly onSlow?: OnSlow
}

/**
 * Connects to the server at `socketPath`, resets the device and lets it do DMA. Throws IXY_ERR_DEVICE_NOT_FOUND,
 * _UNSUPPORTED, _GONE, IXY_ERR_PROTOCOL.
 */
export function openVfioUser(socketPath: string, options: VfioUserOptions): Transport {
  const name = options.name ?? `vfio-user:${socketPath}`
  const undo = new Undo()
  try {
    const connection = Connection.open(socketPath, name, options.deadline, options.onSlow)
    undo.push(() => connection.close())
    const maxFds = introduce(connection, name)
    const none = encodeDeviceInfo({ flags: 0, regions: 0, irqs: 0 })
    const description = connection.request(Command.DEVICE_GET_INFO, none)
    const device = connection.decode(() => decodeDeviceInfo(description))
    const config = new RemoteConfigSpace(connection)
    if ((device.flags & DeviceFlag.PCI) === 0 || device.regions <= Region.CONFIG)
      throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${name} is not a PCI device`, 'start another server')
    options.known.requireSupported(name, readIds(config, name), options.force)
    if ((device.flags & DeviceFlag.RESET) !== 0) connection.request(Command.DEVICE_RESET)
    const { info, pages } = mapDoorbells(connection, name, undo)
    undo.push(() => setBusMaster(config, false))
    setBusMaster(config, true)
    const bar0 = new RemoteRegisters(connection, info.size)
    return new VfioUserTransport({ name, connection, config, bar0, pages, maxFds, undo })
  } catch (error) {
    undo.runQuietly()
    throw error
  }
}

/** As negotiate(); whoever doesn't even answer in this protocol is something else than a vfio-user server. */
function introduce(connection: Connection, name: string): number {
  try {
    return negotiate(connection, name)
  } catch (cause) {
    if (!(cause instanceof IxyError)) throw cause
    // It has accepted the connection but doesn't talk: a server has one client at a time.
    if (isErrno(cause.cause, 'ETIMEDOUT')) {
      throw new IxyError(
        'IXY_ERR_DEVICE_IN_USE',
        `${name} seems to have another client: its server doesn't answer`,
        'end that client (ixy-ts stats shows those of this user), or start another server',
        { cause },
      )
    }
    if (cause.code !== 'IXY_ERR_PROTOCOL') throw cause
    const inner = cause.cause instanceof IxyError ? cause.cause : cause
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${name}: what listens there is not a vfio-user server for this client (${inner.message})`,
      'name the socket of a server such as ixy-ts vnic',
      { cause },
    )
  }
}

/** Agrees on version and capabilities. Returns how many descriptors the server takes in one message. */
function negotiate(connection: Connection, name: string): number {
  const payload = connection.request(
    Command.VERSION,
    encodeVersion({
      major: VERSION_MAJOR,
      minor: VERSION_MINOR,
      capabilities: { max_msg_fds: 16, ixy_shared_doorbells: true },
    }),
  )
  const { major, minor, capabilities } = connection.decode(() => decodeVersion(payload))
  if (major !== VERSION_MAJOR || minor > VERSION_MINOR)
    throw new IxyError(
      'IXY_ERR_PROTOCOL',
      `the server of ${name} speaks vfio-user ${major}.${minor}, this is ${VERSION_MAJOR}.${VERSION_MINOR}`,
    )
  return Math.max(1, capabilities.max_msg_fds ?? DEFAULT_MAX_MESSAGE_FDS)
}

interface MappedPage {
  readonly offset: number
  readonly address: bigint
}

/** Maps the pages of BAR0 that the data plane writes to. */
function mapDoorbells(
  connection: Connection,
  name: string,
  undo: Undo,
): { info: RegionInfoReply; pages: MappedPage[] } {
  const { payload, fds } = connection.requestFiles(
    Command.DEVICE_GET_REGION_INFO,
    encodeRegionInfoRequest(Region.BAR0, REGION_INFO_ROOM),
  )
  try {
    const info = connection.decode(() => decodeRegionInfo(payload))
    const [fd] = fds
    const areas = (info.flags & RegionFlag.MMAP) === 0 ? [] : (info.areas ?? [{ offset: 0, size: info.size }])
    const pages = DOORBELL_PAGES.map((offset) => {
      if (fd === undefined || !areas.some((area) => contains(area, offset)))
        throw new IxyError(
          'IXY_ERR_DEVICE_UNSUPPORTED',
          `the server of ${name} doesn't share the tail registers (page 0x${offset.toString(16)} of BAR0)`,
          'use a server of this program: ixy-ts vnic',
        )
      if (shrinkingOf(fd) !== 'never')
        throw new IxyError(
          'IXY_ERR_DEVICE_UNSUPPORTED',
          `the server of ${name} could take away the memory of the tail registers, which would end this process`,
          'use a server that seals it (F_SEAL_SHRINK): ixy-ts vnic',
        )
      const inFile = info.offset + offset
      // Beyond the end of the file a mapping exists, but touching it would end this process.
      if (inFile % PAGE !== 0 || fstatSync(fd).size < inFile + PAGE)
        throw new IxyError(
          'IXY_ERR_PROTOCOL',
          `the server of ${name} shares a file without the tail registers`,
          'start it again, or report it to its authors',
        )
      const address = mmap(PAGE, { fd, offset: inFile })
      undo.push(() => munmap(address, PAGE))
      return { offset, address }
    })
    return { info, pages }
  } finally {
    fds.forEach(closeInBackground)
  }
}

function contains(area: SparseArea, page: number): boolean {
  return page >= area.offset && page + PAGE <= area.offset + area.size
}

interface Parts {
  readonly name: string
  readonly connection: Connection
  readonly config: RemoteConfigSpace
  readonly bar0: RemoteRegisters
  readonly pages: readonly MappedPage[]
  readonly maxFds: number
  readonly undo: Undo
}

class VfioUserTransport implements Transport {
  readonly access = 'vfio-user'
  readonly needsPhysicalAddresses = false
  readonly numaNode = -1
  readonly name: string
  readonly config: RemoteConfigSpace
  readonly bar0: RemoteRegisters
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.name = parts.name
    this.config = parts.config
    this.bar0 = parts.bar0
    this.parts = parts
  }

  mapDma(segment: DmaSegment): void {
    const { iova, bytes, fd, fdOffset } = segment
    const map = { flags: DmaFlag.READ | DmaFlag.WRITE, offset: fdOffset, address: iova, size: bytes }
    this.parts.connection.request(Command.DMA_MAP, encodeDmaMap(map), [fd])
  }

  doorbellPage(offset: number): bigint {
    const page = this.parts.pages.find((candidate) => candidate.offset === offset)
    if (page === undefined) throw new RangeError(`page 0x${offset.toString(16)} of BAR0 is not shared`)
    return page.address
  }

  enableInterrupts(count: number): readonly number[] {
    const { connection, maxFds, undo } = this.parts
    const wanted = encodeIrqInfo({ flags: 0, index: Irq.MSIX, count: 0 })
    const description = connection.request(Command.DEVICE_GET_IRQ_INFO, wanted)
    const info = connection.decode(() => decodeIrqInfo(description))
    if (info.count < count)
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${this.name} has ${info.count} MSI-X vectors, ${count} are needed`,
        'use fewer queues or --mode poll',
      )
    const fds = Array.from({ length: count }, () => {
      const fd = createEventFd()
      undo.push(() => close(fd))
      return fd
    })
    const flags = IrqSetFlag.DATA_EVENTFD | IrqSetFlag.ACTION_TRIGGER
    for (let start = 0; start < count; start += maxFds) {
      const part = fds.slice(start, start + maxFds)
      const set = { flags, index: Irq.MSIX, start, count: part.length, data: new Uint8Array(0) }
      connection.request(Command.DEVICE_SET_IRQS, encodeIrqSet(set), part)
    }
    return fds
  }

  assertAlive(): void {
    this.parts.connection.assertAlive()
  }

  close(): void {
    this.parts.undo.runQuietly()
  }
}
