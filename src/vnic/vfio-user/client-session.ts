/** One client from its first message to its last: the commands of vfio-user. */
import { IxyError } from '../../errors.ts'
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
  DMA_UNMAP_BYTES,
  encodeDeviceInfo,
  encodeIrqInfo,
  encodeRegionAccess,
  encodeRegionInfo,
  encodeVersion,
  encodeWriteMultiReply,
  IRQ_COUNT,
  MessageFlag,
  REGION_COUNT,
  VERSION_MAJOR,
  VERSION_MINOR,
} from '../../pci/vfio-user/protocol.ts'
import { ClientMemory, type MemoryLimits } from './client-memory.ts'
import type { Message, ServerConnection } from './connection.ts'
import { Errno, Refusal } from './refusal.ts'
import { Regions } from './regions.ts'
import type { ServedDevice } from './served-device.ts'

/** Messages handled before the NIC gets its turn again. */
const MESSAGES_PER_POLL = 64
/** Milliseconds after which they get it in the middle of a command: other NICs of the process wait as well. */
const TURN = 1
/** Milliseconds a client has for its first message: until then it keeps others out. */
const GREETING_DEADLINE = 3000
/** Descriptors in one message: QEMU accepts no larger number. */
const MAX_MESSAGE_FDS = 16
/** Descriptors of a client that may wait to be closed before it is heard again. */
const MAX_CLOSING = 64
/** Refusals of one client that are told; a client that is refused more often won't be understood better. */
const MAX_TOLD = 5
const NOTHING = new Uint8Array(0)

/** What a session needs of its server. */
export interface SessionHost {
  readonly device: ServedDevice
  readonly limits: Omit<MemoryLimits, 'uid'>
  /** Told why the client was refused something that it can't do without, and what to do. */
  readonly onRefusal: (reason: string) => void
}

interface Answer {
  readonly payload: Uint8Array
  /** Sent along; not closed. */
  readonly fds?: readonly number[]
}

/** A command in work: one step between two `yield`s. */
type Work = Generator<void, Answer>

export class ClientSession {
  /** The client writes the tail registers of the first queues by memory: they must be looked at. */
  sharedDoorbells = false
  readonly connection: ServerConnection
  private readonly host: SessionHost
  private readonly memory: ClientMemory
  private readonly regions: Regions
  private readonly greetingDeadline = performance.now() + GREETING_DEADLINE
  private greeted = false
  private current: { readonly message: Message; readonly work: Work } | null = null
  private readonly told = new Set<string>()

  constructor(connection: ServerConnection, host: SessionHost) {
    this.connection = connection
    this.host = host
    const uid = connection.socket.peerUid()
    this.memory = new ClientMemory(host.device, { ...host.limits, uid })
    this.regions = new Regions(host.device)
  }

  /**
   * Handles what has arrived, for about a millisecond at most. Returns 0 if there was nothing to do. One command after the
   * other: the next one is looked at when the last one is done and the client has taken the answer.
   */
  poll(): number {
    const { connection } = this
    const until = performance.now() + TURN
    let count = 0
    // Nobody waits for the rest of a command that takes several turns.
    if (this.current !== null && connection.socket.peerHasClosed()) connection.close()
    while (count < MESSAGES_PER_POLL && this.ready()) {
      if (this.current === null) {
        const message = connection.receive()
        if (message === null) break
        this.begin(message)
      }
      count++
      if (!this.proceed(until) || performance.now() >= until) break
    }
    if (!this.greeted && performance.now() > this.greetingDeadline) connection.close()
    return count
  }

  /** The client has taken its last answer, and its descriptors haven't piled up. */
  private ready(): boolean {
    const { connection } = this
    return connection.flush() && !connection.closed && connection.closer.pending < MAX_CLOSING
  }

  private begin(message: Message): void {
    const { header, fds } = message
    // We send no commands, so there is nothing to be answered.
    if ((header.flags & MessageFlag.TYPE_MASK) !== MessageFlag.COMMAND) this.connection.dispose(fds)
    else this.current = { message, work: this.execute(message) }
  }

  /** Goes on with the current command. Returns false if it isn't done when the time is over. */
  private proceed(until: number): boolean {
    if (this.current === null) return true
    const { message, work } = this.current
    const { header } = message
    const silent = (header.flags & MessageFlag.NO_REPLY) !== 0
    let done = true
    try {
      let step = work.next()
      while (step.done !== true) {
        if (performance.now() >= until) return (done = false)
        step = work.next()
      }
      if (!silent) this.connection.reply(header, step.value.payload, step.value.fds)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === null) throw error
      if (!silent) this.connection.refuse(header, errno)
      this.tell(header.command, error)
      // Without a common version nothing that follows could be understood.
      if (!this.greeted) this.connection.close()
    } finally {
      if (done) {
        this.current = null
        this.connection.dispose(message.fds)
      }
    }
    return true
  }

  /** Refusals of what a driver can't do without, each once. */
  private tell(command: number, error: unknown): void {
    if (command !== Command.DMA_MAP && command !== Command.DEVICE_SET_IRQS) return
    const reason = `${commandName(command)} refused: ${error instanceof Error ? error.message : String(error)}`
    if (this.told.size >= MAX_TOLD || this.told.has(reason)) return
    this.told.add(reason)
    this.host.onRefusal(reason)
  }

  private *execute({ header, payload, fds }: Message): Work {
    const { device } = this.host
    const { lines, doorbells } = device
    if (header.command === Command.VERSION) return this.version(payload)
    if (!this.greeted) throw new Refusal(Errno.EINVAL, `${commandName(header.command)} before VERSION`)
    switch (header.command) {
      case Command.DMA_MAP:
        if (fds.length > 1) throw new Refusal(Errno.EINVAL, 'DMA_MAP with several descriptors')
        yield* this.memory.map(decodeDmaMap(payload), fds)
        return { payload: NOTHING }
      case Command.DMA_UNMAP:
        yield* this.memory.unmap(decodeDmaUnmap(payload))
        // What comes back is what was asked for.
        return { payload: payload.subarray(0, DMA_UNMAP_BYTES) }
      case Command.DEVICE_GET_INFO: {
        const flags = DeviceFlag.PCI | DeviceFlag.RESET
        return { payload: encodeDeviceInfo({ flags, regions: REGION_COUNT, irqs: IRQ_COUNT }) }
      }
      case Command.DEVICE_GET_REGION_INFO: {
        const { index, argsz } = decodeRegionInfoRequest(payload)
        const info = this.regions.info(index, this.sharedDoorbells)
        const file = this.sharedDoorbells && index === doorbells?.region ? [doorbells.share()] : []
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
        for (const write of writes) {
          this.regions.write(write)
          yield
        }
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
    const { doorbells } = this.host.device
    this.sharedDoorbells = doorbells !== null && capabilities.ixy_shared_doorbells === true
    return {
      payload: encodeVersion({
        major: VERSION_MAJOR,
        minor: Math.min(minor, VERSION_MINOR),
        capabilities: {
          max_msg_fds: MAX_MESSAGE_FDS,
          max_data_xfer_size: DEFAULT_MAX_DATA_BYTES,
          max_dma_maps: this.host.limits.mappings,
          pgsizes: 4096,
          write_multiple: true,
          ...(this.sharedDoorbells ? { ixy_shared_doorbells: true } : {}),
        },
      }),
    }
  }

  /**
   * Takes everything back that the client had shared, and puts the device into its initial state: that much is done before
   * the first step. Then it gives the memory back.
   */
  *close(): Generator<void, void> {
    const { device } = this.host
    this.connection.close()
    if (this.current !== null) {
      this.connection.dispose(this.current.message.fds)
      this.current.work.return({ payload: NOTHING })
      this.current = null
    }
    device.reset()
    device.lines.clear()
    yield* this.memory.clear()
  }
}

/** The errno for what the client did wrong, or the system can't do for it; null for a bug of ours. */
function errnoOf(error: unknown): number | null {
  if (error instanceof Refusal) return error.errno
  if (!(error instanceof IxyError) || error.code === 'IXY_ERR_INTERNAL') return null
  return error.code === 'IXY_ERR_PROTOCOL' ? Errno.EINVAL : Errno.EIO
}
