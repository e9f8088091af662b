/**
 * A small vfio-user server that runs in a worker thread of a test: a 82599's ids, registers that keep what is written,
 * and one kind of misbehaviour, as workerData asks. Everything it is asked is reported to the parent.
 */
import { type MessagePort, workerData } from 'node:worker_threads'
import {
  close,
  createEventFd,
  createMemfd,
  createSealedMemfd,
  pread,
  pwrite,
  signalEventFd,
} from '../../../src/linux/file.ts'
import { sleepMilliseconds } from '../../../src/linux/clock.ts'
import { isErrno } from '../../../src/linux/libc.ts'
import { pollOne, POLLIN } from '../../../src/linux/poll.ts'
import { UnixListener, type UnixSocket } from '../../../src/linux/unix-socket.ts'
import { Random } from '../../../src/vnic/wires/random.ts'
import * as vfio from '../../../src/pci/vfio-user/protocol.ts'

export interface Script {
  readonly path: string
  readonly vendorId?: number
  readonly deviceId?: number
  readonly classCode?: number
  readonly major?: number
  readonly maxFds?: number
  readonly notPci?: boolean
  readonly vectors?: number
  /** Bytes of the file behind BAR0. */
  readonly fileBytes?: number
  readonly noMapping?: boolean
  /** Which pages of BAR0 it shares; default: two. */
  readonly areas?: readonly vfio.SparseArea[]
  /** BAR2 is I/O ports, 32 of them. */
  readonly ports?: boolean
  /** It can be truncated. */
  readonly unsealed?: boolean
  /** Sends this many commands of its own that want no answer before each reply to `interject`. */
  readonly flood?: number
  /** Takes so long for each reply to REGION_READ, milliseconds. */
  readonly slow?: number
  /** Sends descriptors along with each reply. */
  readonly strayFds?: boolean
  /** Cuts the payload of the reply to this command to two bytes. */
  readonly short?: number
  /** Commands that get no answer, make the server hang up, or are refused. */
  readonly ignore?: number
  readonly hangUp?: number
  readonly refuse?: number
  /** Answers this command with another id, or sends a command of its own first. */
  readonly wrongId?: number
  readonly interject?: number
  /** Announces a message of 4 GiB in reply to this command. */
  readonly huge?: number
  /** Damages replies at random, with this seed: one in five. */
  readonly hostile?: number
  /** Where events go. */
  readonly port: MessagePort
  /** An Int32 the parent sets to 1 to end the server. */
  readonly stop: Int32Array
}

export type Event =
  | { readonly event: 'listening' }
  | { readonly event: 'command'; readonly command: number; readonly flags: number }
  | { readonly event: 'map'; readonly map: vfio.DmaMap; readonly text: string }
  | { readonly event: 'irqs'; readonly start: number; readonly count: number; readonly fds: number }
  | { readonly event: 'reply'; readonly error: number }
  | { readonly event: 'closed' }

const script = workerData as Script
const random = new Random(script.hostile ?? 0)
/** Milliseconds in which a client that has got a damaged reply says something; then it waits for more than it will get. */
const PATIENCE = 20
const report = (event: Event): void => script.port.postMessage(event)

const BAR_BYTES = 512 * 1024
const makeFile = script.unsealed === true ? createMemfd : createSealedMemfd
const registers = makeFile('bar0', script.fileBytes ?? BAR_BYTES)
const config = new Uint8Array(4096)
const ids = new DataView(config.buffer)
ids.setUint16(0, script.vendorId ?? 0x8086, true)
ids.setUint16(2, script.deviceId ?? 0x10fb, true)
ids.setUint16(10, script.classCode ?? 0x0200, true)
if (script.ports === true) ids.setUint32(0x18, 0xc001, true)
const ports = new Uint8Array(32)

type Answer = readonly [payload: Uint8Array, fds?: readonly number[]]
const NOTHING = new Uint8Array(0)

function answer(command: number, payload: Uint8Array, fds: readonly number[]): Answer {
  switch (command) {
    case vfio.Command.VERSION: {
      const asked = vfio.decodeVersion(payload)
      const shared = asked.capabilities.ixy_shared_doorbells === true
      const capabilities = { max_msg_fds: script.maxFds ?? 8, ixy_shared_doorbells: shared }
      return [vfio.encodeVersion({ major: script.major ?? 0, minor: asked.minor, capabilities })]
    }
    case vfio.Command.DEVICE_GET_INFO:
      return [vfio.encodeDeviceInfo({ flags: script.notPci ? 1 : 3, regions: 9, irqs: 5 })]
    case vfio.Command.DEVICE_GET_REGION_INFO:
      return regionInfo(vfio.decodeRegionInfoRequest(payload))
    case vfio.Command.DEVICE_GET_IRQ_INFO: {
      const { index } = vfio.decodeIrqInfo(payload)
      return [vfio.encodeIrqInfo({ flags: 9, index, count: script.vectors ?? 64 })]
    }
    case vfio.Command.DEVICE_SET_IRQS: {
      const { start, count } = vfio.decodeIrqSet(payload)
      report({ event: 'irqs', start, count, fds: fds.length })
      fds.forEach((fd, index) => {
        if ((start + index) % 2 === 1) signalEventFd(fd)
      })
      return [NOTHING]
    }
    case vfio.Command.DMA_MAP: {
      const map = vfio.decodeDmaMap(payload)
      const text = Buffer.alloc(5)
      pread(fds[0], text, map.offset)
      report({ event: 'map', map, text: text.toString() })
      return [NOTHING]
    }
    case vfio.Command.REGION_READ: {
      const { offset, region, count } = vfio.decodeRegionAccess(payload, false)
      const data = new Uint8Array(count)
      if (region === vfio.Region.CONFIG) data.set(config.subarray(offset, offset + count))
      else if (region === vfio.Region.BAR2) data.set(ports.subarray(offset, offset + count))
      else pread(registers, data, offset)
      return [vfio.encodeRegionAccess({ offset, region, count, data })]
    }
    case vfio.Command.REGION_WRITE: {
      const { offset, region, count, data } = vfio.decodeRegionAccess(payload, true)
      if (region === vfio.Region.CONFIG) config.set(data, offset)
      else if (region === vfio.Region.BAR2) ports.set(data, offset)
      else pwrite(registers, data, offset)
      return [vfio.encodeRegionAccess({ offset, region, count, data: NOTHING })]
    }
    default:
      return [NOTHING]
  }
}

function regionInfo({ index, argsz }: vfio.RegionInfoRequest): Answer {
  if (index === vfio.Region.BAR2)
    return [vfio.encodeRegionInfo({ flags: 3, index, size: script.ports ? 32 : 0, offset: 0 }, argsz)]
  const info = { flags: 7, index, size: BAR_BYTES, offset: 0 }
  if (script.noMapping) return [vfio.encodeRegionInfo({ ...info, flags: 3 }, argsz)]
  const areas = script.areas ?? [
    { offset: 0x1000, size: 0x1000 },
    { offset: 0x6000, size: 0x1000 },
  ]
  return [vfio.encodeRegionInfo({ ...info, areas }, argsz), [registers]]
}

/** One message: its header, its payload, its descriptors. Null when the client has closed. */
function receive(socket: UnixSocket): [vfio.Header, Uint8Array, number[]] | null {
  const bytes = new Uint8Array(vfio.HEADER_BYTES)
  const first = socket.receiveFully(bytes, 1000)
  if (first.bytes < bytes.length) return null
  const header = vfio.decodeHeader(bytes)
  const payload = new Uint8Array(header.size - vfio.HEADER_BYTES)
  const second = socket.receiveFully(payload, 1000)
  return [header, payload, [...first.fds, ...second.fds]]
}

function serve(socket: UnixSocket): void {
  while (script.stop[0] === 0) {
    if (pollOne(socket.fd, POLLIN, 10) === 0) continue
    const message = receive(socket)
    if (message === null) break
    const [header, payload, fds] = message
    const { command } = header
    if ((header.flags & vfio.MessageFlag.TYPE_MASK) === vfio.MessageFlag.REPLY) {
      report({ event: 'reply', error: header.error })
      continue
    }
    report({ event: 'command', command, flags: header.flags })
    if (command === script.hangUp) break
    if (command === script.ignore) continue
    if (command === script.interject) {
      const ask = vfio.encodeDmaAccess({ address: 0, count: 4, data: NOTHING })
      const size = vfio.HEADER_BYTES + ask.length
      const flags = script.flood === undefined ? 0 : vfio.MessageFlag.NO_REPLY
      const own = { id: 7, command: vfio.Command.DMA_READ, size, flags, error: 0 }
      for (let i = 0; i < (script.flood ?? 1); i++) socket.send([vfio.encodeHeader(own), ask])
    }
    if (command === vfio.Command.REGION_READ && script.slow !== undefined) sleepMilliseconds(script.slow)
    const refused = command === script.refuse
    const [all, files] = refused ? [NOTHING] : answer(command, payload, fds)
    const data = command === script.short ? all.subarray(0, 2) : all
    const out = files ?? (script.strayFds === true ? [registers, registers] : undefined)
    fds.forEach(close)
    const reply = {
      id: command === script.wrongId ? header.id + 1 : header.id,
      command,
      size: command === script.huge ? 0xffff_ffff : vfio.HEADER_BYTES + data.length,
      flags: refused ? vfio.MessageFlag.REPLY | vfio.MessageFlag.ERROR : vfio.MessageFlag.REPLY,
      error: refused ? 22 : 0,
    }
    if (script.hostile === undefined || random.below(5) > 0) {
      socket.send([vfio.encodeHeader(reply), data], out)
      continue
    }
    const stray = Array.from({ length: random.below(3) }, () => strays[random.below(strays.length)])
    socket.send([damaged(vfio.encodeHeader(reply), data)], random.below(2) === 0 ? out : stray)
    if (pollOne(socket.fd, POLLIN, PATIENCE) === 0) break
  }
}

/** Neither pages of registers nor memory: what a client must not take for either. */
const strays = [createMemfd('empty', 0), createMemfd('unsealed', BAR_BYTES), createEventFd(), registers]

/** The message with bytes changed, cut off, added or sent twice. */
function damaged(header: Uint8Array, payload: Uint8Array): Uint8Array {
  const message = Uint8Array.of(...header, ...payload)
  for (let i = random.below(4); i > 0; i--) message[random.below(message.length)] = random.below(256)
  switch (random.below(4)) {
    case 0:
      return message.subarray(0, 1 + random.below(message.length))
    case 1:
      return Uint8Array.of(...message, ...message)
    case 2:
      return Uint8Array.of(...message, ...Array.from({ length: random.below(64) }, () => random.below(256)))
    default:
      return message
  }
}

const listener = UnixListener.listen(script.path)
report({ event: 'listening' })
while (script.stop[0] === 0) {
  if (pollOne(listener.fd, POLLIN, 10) === 0) continue
  const socket = listener.accept()
  if (socket === null) continue
  try {
    serve(socket)
  } catch (error) {
    // A client that has given up and gone.
    if (!isErrno(error, 'EPIPE')) throw error
  }
  socket.close()
  report({ event: 'closed' })
}
listener.close()
