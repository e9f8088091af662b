/** The server's end of a vfio-user connection: whole messages out of a stream, without waiting for any. */
import { close } from '../../linux/file.ts'
import { isErrno } from '../../linux/libc.ts'
import type { UnixSocket } from '../../linux/unix-socket.ts'
import {
  decodeHeader,
  encodeHeader,
  type Header,
  HEADER_BYTES,
  MessageFlag,
} from '../../pci/vfio-user/protocol.ts'

/** A client that doesn't read its replies for this long (ms) is cut off: the NIC has other things to do. */
const SEND_TIMEOUT = 1000

export interface Message {
  readonly header: Header
  readonly payload: Uint8Array
  /** Descriptors that came along. Whoever keeps one takes it out of the list; the rest is closed. */
  readonly fds: number[]
}

export class ServerConnection {
  readonly socket: UnixSocket
  /** The peer has closed, or the stream is beyond understanding. */
  closed = false
  private readonly headerBytes = new Uint8Array(HEADER_BYTES)
  private header: Header | null = null
  private payload = this.headerBytes
  private filled = 0
  private fds: number[] = []

  constructor(socket: UnixSocket) {
    this.socket = socket
  }

  /** The next message that has arrived completely, or null. Never throws: a broken stream closes the connection. */
  receive(): Message | null {
    try {
      while (!this.closed) {
        const target = this.header === null ? this.headerBytes : this.payload
        if (this.filled < target.length && !this.fill(target)) return null
        if (this.filled < target.length) continue
        this.filled = 0
        if (this.header === null) {
          this.header = decodeHeader(this.headerBytes)
          this.payload = new Uint8Array(this.header.size - HEADER_BYTES)
          if (this.payload.length > 0) continue
        }
        const message = { header: this.header, payload: this.payload, fds: this.fds }
        this.header = null
        this.fds = []
        return message
      }
    } catch {
      this.close()
    }
    return null
  }

  /** Takes what is there. Returns false if that was nothing. */
  private fill(target: Uint8Array): boolean {
    const received = this.socket.receive(this.filled === 0 ? target : target.subarray(this.filled))
    if (received === null) return false
    this.fds.push(...received.fds)
    if (received.bytes === 0) this.close()
    this.filled += received.bytes
    return received.bytes > 0
  }

  /** Answers `request`. `fds` stay the caller's. */
  reply(request: Header, payload: Uint8Array, fds: readonly number[] = []): void {
    this.send({ request, flags: MessageFlag.REPLY, error: 0, payload, fds })
  }

  refuse(request: Header, errno: number): void {
    const flags = MessageFlag.REPLY | MessageFlag.ERROR
    this.send({ request, flags, error: errno, payload: new Uint8Array(0), fds: [] })
  }

  private send(answer: {
    request: Header
    flags: number
    error: number
    payload: Uint8Array
    fds: readonly number[]
  }): void {
    if (this.closed) return
    const { id, command } = answer.request
    const size = HEADER_BYTES + answer.payload.length
    const header = encodeHeader({ id, command, size, flags: answer.flags, error: answer.error })
    try {
      this.socket.send([header, answer.payload], answer.fds, SEND_TIMEOUT)
    } catch (error) {
      if (!isErrno(error, 'EPIPE', 'ETIMEDOUT')) throw error
      this.close()
    }
  }

  /** The client reads an end of stream: QEMU 11.1 aborts on any other. Idempotent. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.fds.forEach(close)
    this.fds = []
    this.socket.hangUp()
  }
}
