/** One client from its first message to its last: the commands of vfio-user. */
import { close } from '../../linux/file.ts'
import { IxyError, takeAllSteps } from '../../errors.ts'
import {
  Command,
  commandName,
  decodeDmaMap,
  decodeDmaUnmap,
  decodeIrqInfo,
  decodeIrqSet,
  decodeRegionAccess,
  decodeRegionInfoRequest,
  decodeRegionWriteMulti,
  decodeVersion,
  DEFAULT_MAX_DATA_BYTES,
  DeviceFlag,
  encodeDeviceInfo,
  encodeDmaUnmap,
  encodeIrqInfo,
  encodeRegionAccess,
  encodeRegionInfo,
  encodeVersion,
  encodeWriteMultiReply,
  IRQ_COUNT,
  MessageFlag,
  Region,
  REGION_COUNT,
  VERSION_MAJOR,
  VERSION_MINOR,
} from '../../pci/vfio-user/protocol.ts'
import type { Device } from '../model/device.ts'
import { ClientMemory, MAX_MAPPINGS } from './client-memory.ts'
import type { Message, ServerConnection } from './connection.ts'
import type { InterruptLines } from './interrupt-lines.ts'
import { Errno, Refusal } from './refusal.ts'
import { Regions } from './regions.ts'

/** Messages handled before the NIC gets its turn again. */
const MESSAGES_PER_POLL = 64
/** Descriptors in one message: QEMU accepts no larger number. */
const MAX_MESSAGE_FDS = 16
const NOTHING = new Uint8Array(0)

/** What the session needs of its NIC. */
export interface SessionHost {
  readonly device: Device
  readonly lines: InterruptLines
  /** The file behind BAR0, for clients that ring by memory. */
  readonly bar0Fd: number
}

interface Answer {
  readonly payload: Uint8Array
  /** Sent along; not closed. */
  readonly fds?: readonly number[]
}

export class Session {
  /** The client writes the tail registers of the first queues by memory: they must be looked at. */
  sharedDoorbells = false
  readonly connection: ServerConnection
  private readonly host: SessionHost
  private readonly memory: ClientMemory
  private readonly regions: Regions
  private greeted = false

  constructor(connection: ServerConnection, host: SessionHost) {
    this.connection = connection
    this.host = host
    this.memory = new ClientMemory(host.device)
    this.regions = new Regions(host.device)
  }

  /** Handles what has arrived. Returns the number of messages. */
  poll(): number {
    let count = 0
    while (count < MESSAGES_PER_POLL) {
      const message = this.connection.receive()
      if (message === null) break
      this.handle(message)
      count++
    }
    return count
  }

  private handle(message: Message): void {
    const { header } = message
    try {
      // We send no commands, so there is nothing to be answered.
      if ((header.flags & MessageFlag.TYPE_MASK) !== MessageFlag.COMMAND) return
      const answer = this.execute(message)
      if ((header.flags & MessageFlag.NO_REPLY) === 0)
        this.connection.reply(header, answer.payload, answer.fds)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === null) throw error
      if ((header.flags & MessageFlag.NO_REPLY) === 0) this.connection.refuse(header, errno)
      // Without a common version nothing that follows could be understood.
      if (!this.greeted) this.connection.close()
    } finally {
      message.fds.forEach(close)
    }
  }

  private execute({ header, payload, fds }: Message): Answer {
    const { device, lines, bar0Fd } = this.host
    if (header.command === Command.VERSION) return this.version(payload)
    if (!this.greeted) throw new Refusal(Errno.EINVAL, `${commandName(header.command)} before VERSION`)
    switch (header.command) {
      case Command.DMA_MAP:
        if (fds.length > 1) throw new Refusal(Errno.EINVAL, 'DMA_MAP with several descriptors')
        this.memory.map(decodeDmaMap(payload), fds[0] ?? -1)
        return { payload: NOTHING }
      case Command.DMA_UNMAP: {
        const unmap = decodeDmaUnmap(payload)
        this.memory.unmap(unmap)
        return { payload: encodeDmaUnmap(unmap) }
      }
      case Command.DEVICE_GET_INFO: {
        const flags = DeviceFlag.PCI | DeviceFlag.RESET
        return { payload: encodeDeviceInfo({ flags, regions: REGION_COUNT, irqs: IRQ_COUNT }) }
      }
      case Command.DEVICE_GET_REGION_INFO: {
        const { index, argsz } = decodeRegionInfoRequest(payload)
        const info = this.regions.info(index, this.sharedDoorbells)
        const file = index === Region.BAR0 && this.sharedDoorbells ? [bar0Fd] : []
        return { payload: encodeRegionInfo(info, argsz), fds: file }
      }
      case Command.DEVICE_GET_IRQ_INFO:
        return { payload: encodeIrqInfo(lines.info(decodeIrqInfo(payload).index)) }
      case Command.DEVICE_SET_IRQS:
        lines.set(decodeIrqSet(payload), fds)
        return { payload: NOTHING }
      case Command.REGION_READ: {
        const access = decodeRegionAccess(payload, false)
        return { payload: encodeRegionAccess({ ...access, data: this.regions.read(access) }) }
      }
      case Command.REGION_WRITE: {
        const access = decodeRegionAccess(payload, true)
        this.regions.write(access)
        return { payload: encodeRegionAccess({ ...access, data: NOTHING }) }
      }
      case Command.REGION_WRITE_MULTI: {
        const writes = decodeRegionWriteMulti(payload)
        for (const write of writes) this.regions.write(write)
        return { payload: encodeWriteMultiReply(writes.length) }
      }
      case Command.DEVICE_RESET:
        device.reset()
        return { payload: NOTHING }
      default:
        throw new Refusal(Errno.ENOTSUP, commandName(header.command))
    }
  }

  private version(payload: Uint8Array): Answer {
    if (this.greeted) throw new Refusal(Errno.EINVAL, 'VERSION twice')
    const { major, minor, capabilities } = decodeVersion(payload)
    if (major !== VERSION_MAJOR) throw new Refusal(Errno.ENOTSUP, `version ${major}.${minor}`)
    this.greeted = true
    this.sharedDoorbells = capabilities.ixy_shared_doorbells === true
    // A client that rings by memory looks at the packets itself; a virtual machine's driver relies on the card.
    this.host.device.receive.inspectAll = !this.sharedDoorbells
    this.host.device.update()
    return {
      payload: encodeVersion({
        major: VERSION_MAJOR,
        minor: Math.min(minor, VERSION_MINOR),
        capabilities: {
          max_msg_fds: MAX_MESSAGE_FDS,
          max_data_xfer_size: DEFAULT_MAX_DATA_BYTES,
          max_dma_maps: MAX_MAPPINGS,
          pgsizes: 4096,
          write_multiple: true,
          ...(this.sharedDoorbells ? { ixy_shared_doorbells: true } : {}),
        },
      }),
    }
  }

  /** Takes everything back that the client had shared, and puts the device into its initial state. */
  close(): void {
    const { device, lines } = this.host
    this.connection.close()
    device.reset()
    takeAllSteps([() => this.memory.clear(), () => lines.clear()])
  }
}

/** The errno for what the client did wrong, or the system can't do for it; null for a bug of ours. */
function errnoOf(error: unknown): number | null {
  if (error instanceof Refusal) return error.errno
  if (!(error instanceof IxyError) || error.code === 'IXY_ERR_INTERNAL') return null
  return error.code === 'IXY_ERR_PROTOCOL' ? Errno.EINVAL : Errno.EIO
}
