/** The far end of the wire: `-netdev stream`, a connection on which each frame follows its length of 4 bytes, big-endian. */
import type { UnixSocket } from '../../src/linux/unix-socket.ts'

const LENGTH_BYTES = 4

/** The frames as they are on the connection. */
export function framed(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt32BE(frame.length)
      return [length, frame]
    }),
  )
}

export class FarEnd {
  private readonly socket: UnixSocket
  private readonly chunk = Buffer.alloc(65_536)
  private received: Buffer = Buffer.alloc(0)
  private unsent: Buffer = Buffer.alloc(0)

  /** Takes over the connection. */
  constructor(socket: UnixSocket) {
    this.socket = socket
  }

  /** Puts frames on the wire: what QEMU has no room for follows with the next call of any kind. */
  send(...frames: Uint8Array[]): void {
    this.unsent = Buffer.concat([this.unsent, framed(frames)])
    this.push()
  }

  /** The frames that have come out since the last call. Doesn't wait. */
  frames(): Buffer[] {
    this.push()
    for (let bytes = this.take(this.chunk); bytes > 0; bytes = this.take(this.chunk))
      this.received = Buffer.concat([this.received, this.chunk.subarray(0, bytes)])
    const frames: Buffer[] = []
    let at = 0
    while (this.received.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + this.received.readUInt32BE(at)
      if (end > this.received.length) break
      frames.push(this.received.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    this.received = this.received.subarray(at)
    return frames
  }

  /** Sends as much of `stream` (see framed()) as QEMU has room for; returns how many bytes. Not to be mixed with send(). */
  give(stream: Uint8Array): number {
    return this.socket.sendSome(stream)
  }

  /** Puts what has come of the stream into `target`; returns how many bytes. Not to be mixed with frames(). */
  take(target: Uint8Array): number {
    return this.socket.receive(target)?.bytes ?? 0
  }

  close(): void {
    this.socket.close()
  }

  private push(): void {
    while (this.unsent.length > 0) {
      const sent = this.socket.sendSome(this.unsent)
      if (sent === 0) return
      this.unsent = this.unsent.subarray(sent)
    }
  }
}
