/** The far end of a wire of QEMU's own cards: `-netdev stream`, on which each frame follows its length of 4 bytes, big-endian. */
import { type Server, type Socket, createServer } from 'node:net'
import { event, until } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

const LENGTH_BYTES = 4

export class StreamEnd {
  /** `-netdev` without its id. QEMU connects when it starts. */
  readonly netdev: string
  readonly #server: Server
  #socket: Socket | undefined
  #received: Buffer = Buffer.alloc(0)

  static async create(test: ScenarioContext, name: string): Promise<StreamEnd> {
    const end = new StreamEnd(test.socket(name))
    await event(end.#server, 'listening', 5)
    test.cleanup(() => {
      end.#socket?.destroy()
      end.#server.close()
    })
    return end
  }

  private constructor(path: string) {
    this.netdev = `stream,server=off,addr.type=unix,addr.path=${path}`
    this.#server = createServer((socket) => {
      this.#socket = socket
      // What comes of a QEMU that has ended is told by the guest.
      socket.on('error', () => undefined)
      socket.on('data', (bytes: Buffer) => (this.#received = Buffer.concat([this.#received, bytes])))
    }).listen(path)
  }

  /** Waits until QEMU has taken them. */
  async send(frames: readonly Uint8Array[]): Promise<void> {
    await until('QEMU connects', 10, () => this.#socket !== undefined)
    const parts = frames.flatMap((frame) => {
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt32BE(frame.length)
      return [length, frame]
    })
    const written = new Promise<void>((resolve, reject) =>
      this.#socket?.write(Buffer.concat(parts), (error) => (error ? reject(error) : resolve())),
    )
    await written
  }

  /** The frames received since the last call. */
  collect(): Promise<Buffer[]> {
    const frames: Buffer[] = []
    let at = 0
    while (this.#received.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + this.#received.readUInt32BE(at)
      if (end > this.#received.length) break
      frames.push(this.#received.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    this.#received = this.#received.subarray(at)
    return Promise.resolve(frames)
  }
}
