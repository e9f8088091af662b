/**
 * The way to a device that another process emulates (vfio-user): registers by message, tail registers and packet
 * memory shared. Needs no privileges; the server is the device and its IOMMU in one.
 */
import { canWaitForWords } from '../../linux/futex.ts'
import type { HandoverPlace } from '../../linux/handover.ts'
import { isErrno } from '../../linux/libc.ts'
import { IxyError } from '../../errors.ts'
import { close, createEventFd } from '../../linux/file.ts'
import type { DmaSegment } from '../../memory/arena.ts'
import { type KnownDevices, readIds } from '../ids.ts'
import { Bars } from '../bars.ts'
import { setBusMaster } from '../config-space.ts'
import type { Doorbell, RegisterWindow, Transport } from '../transport.ts'
import { Undo } from '../../undo.ts'
import { Connection, type OnSlow } from './connection.ts'
import {
  Command,
  decodeDeviceInfo,
  decodeIrqInfo,
  decodeVersion,
  DEFAULT_MAX_MESSAGE_FDS,
  DeviceFlag,
  DmaFlag,
  encodeDeviceInfo,
  encodeDmaMap,
  encodeHeader,
  encodeIrqInfo,
  encodeIrqSet,
  encodeVersion,
  HANDOVER_OFFSET,
  HEADER_BYTES,
  Irq,
  IrqSetFlag,
  MessageFlag,
  Region,
  VERSION_MAJOR,
  VERSION_MINOR,
} from './protocol.ts'
import { RemoteConfigSpace, openRemoteBar } from './remote-region.ts'

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
    const { maxFds, shares } = introduce(connection, name)
    const none = encodeDeviceInfo({ flags: 0, regions: 0, irqs: 0 })
    const description = connection.request(Command.DEVICE_GET_INFO, none)
    const device = connection.decode(() => decodeDeviceInfo(description))
    const config = new RemoteConfigSpace(connection)
    if ((device.flags & DeviceFlag.PCI) === 0 || device.regions <= Region.CONFIG)
      throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${name} is not a PCI device`, 'start another server')
    options.known.requireSupported(name, readIds(config, name), options.force)
    if ((device.flags & DeviceFlag.RESET) !== 0) connection.request(Command.DEVICE_RESET)
    const bars = new Bars(name, (index) => openRemoteBar(connection, config, name, index, undo))
    undo.push(() => bars.close())
    undo.push(() => setBusMaster(config, false))
    setBusMaster(config, true)
    return new VfioUserTransport({ name, connection, config, bars, maxFds, shares, undo })
  } catch (error) {
    undo.runQuietly()
    throw error
  }
}

/** As negotiate(); whoever doesn't even answer in this protocol is something else than a vfio-user server. */
function introduce(connection: Connection, name: string): Agreed {
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

interface Agreed {
  /** How many descriptors the server takes in one message. */
  readonly maxFds: number
  /** See Capabilities.ixy_shared_doorbells. */
  readonly shares: boolean
}

/** Agrees on version and capabilities. */
function negotiate(connection: Connection, name: string): Agreed {
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
  return {
    maxFds: Math.max(1, capabilities.max_msg_fds ?? DEFAULT_MAX_MESSAGE_FDS),
    shares: capabilities.ixy_shared_doorbells === true,
  }
}

/** Asks for nothing and gets no reply, but wakes a server that sleeps. */
const WAKE_UP = wakeUp()

function wakeUp(): Uint8Array {
  const flags = MessageFlag.COMMAND | MessageFlag.NO_REPLY
  const nothing = encodeDeviceInfo({ flags: 0, regions: 0, irqs: 0 })
  const size = HEADER_BYTES + nothing.length
  const header = encodeHeader({ id: 0, command: Command.DEVICE_GET_INFO, size, flags, error: 0 })
  return Buffer.concat([header, nothing])
}

interface Parts extends Agreed {
  readonly name: string
  readonly connection: Connection
  readonly config: RemoteConfigSpace
  readonly bars: Bars
  readonly undo: Undo
}

class VfioUserTransport implements Transport {
  readonly access = 'vfio-user'
  readonly needsPhysicalAddresses = false
  readonly numaNode = -1
  readonly name: string
  readonly config: RemoteConfigSpace
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.name = parts.name
    this.config = parts.config
    this.parts = parts
  }

  mapDma(segment: DmaSegment): void {
    const { iova, bytes, fd, fdOffset } = segment
    const map = { flags: DmaFlag.READ | DmaFlag.WRITE, offset: fdOffset, address: iova, size: bytes }
    this.parts.connection.request(Command.DMA_MAP, encodeDmaMap(map), [fd])
  }

  bar(index: number): RegisterWindow {
    return this.parts.bars.at(index)
  }

  doorbell(bar: number, offset: number): Doorbell | null {
    return this.parts.bars.at(bar).doorbell(offset)
  }

  get handover(): HandoverPlace | null {
    const { bars, connection, shares } = this.parts
    const bar = bars.at(Region.BAR0)
    if (!shares || bar.bytes <= HANDOVER_OFFSET || !canWaitForWords()) return null
    const place = bar.doorbell(HANDOVER_OFFSET)
    return place?.kind === 'memory'
      ? { page: place.page, call: { fd: connection.fd, message: WAKE_UP } }
      : null
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
