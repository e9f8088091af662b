/** The server's end of a vfio-user connection: whole messages out of a stream, without waiting for any. */
import type { BackgroundClose } from '../../linux/background-close.ts'
import type { UnixSocket } from '../../linux/unix-socket.ts'
import {
  decodeHeader,
  encodeHeader,
  type Header,
  HEADER_BYTES,
  MessageFlag,
} from '../../pci/vfio-user/protocol.ts'

/** A client that doesn't read its replies for this long (ms) is cut off. */
const READ_DEADLINE = 5000

/** Descriptors that one message may bring; more are an attack on the limit of this process. */
const MAX_FDS = 64

const NOTHING = new Uint8Array(0)

export interface Message {
  readonly header: Header
  readonly payload: Uint8Array
  /** Descriptors that came along. Whoever keeps one takes it out of the list; the rest is closed. */
  readonly fds: number[]
}

/** What is left of a reply that the client has not made room for yet. */
interface Unsent {
  rest: Uint8Array
  /** They go with the first byte. */
  fds: readonly number[]
  readonly deadline: number
}

export class ServerConnection {
  readonly socket: UnixSocket
  /** What closes the client's descriptors: nobody knows what they are. */
  readonly closer: BackgroundClose
  /** The peer has closed, or the stream is beyond understanding. */
  closed = false
  private readonly headerBytes = new Uint8Array(HEADER_BYTES)
  private header: Header | null = null
  private payload = this.headerBytes
  private filled = 0
  private fds: number[] = []
  private unsent: Unsent | null = null

  constructor(socket: UnixSocket, closer: BackgroundClose) {
    this.socket = socket
    this.closer = closer
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
    if (received.bytes === 0 || this.fds.length > MAX_FDS) this.close()
    this.filled += received.bytes
    return !this.closed
  }

  /**
   * Answers `request`. `fds` stay the caller's, and must stay open until the reply is on its way: see flush(), which must
   * have returned true since the last reply.
   */
  reply(request: Header, payload: Uint8Array, fds: readonly number[] = []): void {
    this.send(request, MessageFlag.REPLY, 0, payload, fds)
  }

  refuse(request: Header, errno: number): void {
    this.send(request, MessageFlag.REPLY | MessageFlag.ERROR, errno, NOTHING, [])
  }

  private send(
    { id, command }: Header,
    flags: number,
    error: number,
    payload: Uint8Array,
    fds: readonly number[],
  ): void {
    if (this.closed) return
    const rest = new Uint8Array(HEADER_BYTES + payload.length)
    rest.set(encodeHeader({ id, command, size: rest.length, flags, error }))
    rest.set(payload, HEADER_BYTES)
    this.unsent = { rest, fds, deadline: performance.now() + READ_DEADLINE }
    this.flush()
  }

  /** A reply waits for the client to read. Nothing more should be done for it until then. */
  get stuck(): boolean {
    return this.unsent !== null
  }

  /** Sends what the client has room for. True if there is nothing left. Never throws, never waits. */
  flush(): boolean {
    const { unsent } = this
    if (unsent === null || this.closed) return true
    try {
      while (unsent.rest.length > 0) {
        const sent = this.socket.sendSome(unsent.rest, unsent.fds)
        if (sent === 0) {
          if (performance.now() > unsent.deadline) this.close()
          return this.closed
        }
        unsent.rest = unsent.rest.subarray(sent)
        unsent.fds = []
      }
    } catch {
      // It has gone, or the kernel lacks memory.
      this.close()
    }
    this.unsent = null
    return true
  }

  /** Closes descriptors of the client. */
  dispose(fds: number[]): void {
    for (const fd of fds.splice(0)) this.closer.close(fd)
  }

  /** The client reads an end of stream: QEMU 11.1 aborts on any other. Idempotent. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.unsent = null
    this.dispose(this.fds)
    this.socket.hangUp((fd) => this.closer.close(fd))
  }
}
