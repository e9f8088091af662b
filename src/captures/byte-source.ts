/** Where the bytes of a capture come from: files, FIFOs, stdin; unpacked if they are packed. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import zlib from 'node:zlib'
import type { Transform } from 'node:stream'
import { IxyError } from '../errors.ts'
import { POLLIN, PollSet } from '../linux/poll.ts'
import { fileError } from '../packet/pcap.ts'
import { isStandardStream, toPath } from './file-name.ts'

/** How often a thread that waits for bytes looks whether it is to end, milliseconds. */
const LOOK_EVERY = 100
/** After this long without a byte the user is told what is waited for, milliseconds. */
const TELL_AFTER = 300
/** Packed bytes that are unpacked in one go. */
const PACKED_CHUNK = 16 * 1024
/** Unpacked bytes that wait to be read before unpacking is held up. */
const UNPACKED_AHEAD = 1024 * 1024

export const GZIP_MAGIC = 0x1f8b
export const ZSTD_MAGIC = 0x28b5_2ffd

/** Thrown by a read that the reader has called off. */
export class CalledOff extends Error {}

export interface Watch {
  /** Asked while waiting for bytes: true ends the wait with CalledOff. */
  calledOff(): boolean
  /** Called once if the first byte is long in coming. */
  waiting(): void
}

/** Bytes as they are in the file. Reading blocks the thread: for threads that do nothing else. */
export class RawSource {
  /** It can be read again from the start. */
  readonly seekable: boolean
  private readonly name: string
  private readonly watch: Watch
  private readonly fd: number
  private readonly own: boolean
  /** null for a file, which is never waited for. */
  private readonly poll: PollSet | null
  private readonly sizeAtFirst: number
  private position = 0

  /** Opens a file, or stdin by one of its names. Never waits for a FIFO's writer. Throws IXY_ERR_FILE. */
  constructor(name: string, owner: number | 'self', watch: Watch) {
    this.name = name
    this.watch = watch
    this.own = !isStandardStream(name, 0)
    try {
      this.fd = this.own ? openSync(toPath(name, owner), constants.O_RDONLY | constants.O_NONBLOCK) : 0
      const state = fstatSync(this.fd)
      if (state.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
      // The offset of a stdin that somebody else has read from is not ours to reset.
      this.seekable = state.isFile() && this.own
      this.sizeAtFirst = this.seekable ? state.size : 0
      this.poll = state.isFile() ? null : new PollSet([this.fd], POLLIN)
    } catch (cause) {
      throw fileError('read', name, cause)
    }
  }

  /** Bytes read into `target`, 0 at the end. Throws IXY_ERR_FILE, CalledOff. */
  read(target: Uint8Array): number {
    for (;;) {
      if (this.poll !== null) this.wait(this.poll)
      try {
        const position = this.seekable ? this.position : null
        const count = readSync(this.fd, target, 0, target.length, position)
        this.position += count
        return count
      } catch (cause) {
        // Somebody else may have read from the same pipe.
        if (!isAgain(cause)) throw fileError('read', this.name, cause)
      }
    }
  }

  /** True if the file has become shorter than it was when it was opened. */
  get shrunk(): boolean {
    return this.seekable && fstatSync(this.fd).size < this.sizeAtFirst
  }

  /** Back to the first byte, for a seekable one. */
  rewind(): void {
    this.position = 0
  }

  close(): void {
    if (this.own) closeSync(this.fd)
  }

  private wait(poll: PollSet): void {
    const since = performance.now()
    let told = this.position > 0
    while (poll.wait(LOOK_EVERY) === 0) {
      if (this.watch.calledOff()) throw new CalledOff()
      if (!told && performance.now() - since >= TELL_AFTER) {
        this.watch.waiting()
        told = true
      }
    }
  }
}

function isAgain(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'EAGAIN' || cause.code === 'EINTR')
}

export interface ByteSource {
  /** Bytes written to `target`, 0 at the end. Rejects with IXY_ERR_FILE, CalledOff. */
  read(target: Uint8Array): Promise<number>
  /** The end was not where a packed file should end. */
  readonly cut: boolean
}

/** The capture's own bytes, whether the file is packed by gzip or zstd (told by its content) or not. */
export async function unpacked(raw: RawSource, name: string): Promise<ByteSource> {
  const head = Buffer.alloc(PACKED_CHUNK)
  let length = 0
  while (length < 4) {
    const count = raw.read(head.subarray(length))
    if (count === 0) break
    length += count
  }
  const start = head.subarray(0, length)
  const packing = packingOf(start)
  if (packing === null) return new Plain(raw, start)
  return new Unpacker(raw, start, name, packing)
}

export type Packing = 'gzip' | 'zstd'

/** By the first four bytes. */
export function packingOf(start: Buffer): Packing | null {
  if (start.length < 4) return null
  if (start.readUInt16BE(0) === GZIP_MAGIC) return 'gzip'
  return start.readUInt32BE(0) === ZSTD_MAGIC ? 'zstd' : null
}

/** What newer versions of node:zlib have. */
interface ZstdModule {
  createZstdDecompress?(): Transform
  zstdDecompressSync?(bytes: Uint8Array, options: object): Buffer
  constants: { ZSTD_e_flush?: number }
}

export const zstd: ZstdModule = zlib as unknown as ZstdModule

export function noZstd(name: string): IxyError {
  return new IxyError(
    'IXY_ERR_FILE',
    `can't use ${name}: it is packed by zstd, which Node.js ${process.versions.node} can't unpack`,
    `unpack it (zstd -d ${name}) or use Node.js 24`,
  )
}

class Plain implements ByteSource {
  readonly cut = false
  private readonly raw: RawSource
  private start: Uint8Array

  constructor(raw: RawSource, start: Uint8Array) {
    this.raw = raw
    this.start = start
  }

  read(target: Uint8Array): Promise<number> {
    const { start } = this
    if (start.length === 0) return Promise.resolve().then(() => this.raw.read(target))
    const count = Math.min(start.length, target.length)
    target.set(start.subarray(0, count))
    this.start = start.subarray(count)
    return Promise.resolve(count)
  }
}

class Unpacker implements ByteSource {
  cut = false
  private readonly raw: RawSource
  private readonly name: string
  private readonly packing: Packing
  private stream: Transform
  private readonly chunk = Buffer.alloc(PACKED_CHUNK)
  /** What the stream is unpacking now, and how many bytes it was given before. */
  private current: Buffer = Buffer.alloc(0)
  private before = 0
  private readonly waiting: Buffer[] = []
  private bytes = 0
  private writing = false
  private rawEnded = false
  /** The stream has been given nothing yet. */
  private fresh = true
  private ended = false
  private error: IxyError | null = null
  private wake = (): void => undefined

  constructor(raw: RawSource, start: Buffer, name: string, packing: Packing) {
    this.raw = raw
    this.name = name
    this.packing = packing
    this.stream = this.open()
    this.write(start)
  }

  async read(target: Uint8Array): Promise<number> {
    while (this.waiting.length === 0) {
      if (this.error !== null) throw this.error
      if (this.ended) return 0
      if (!this.writing) this.feed()
      else await new Promise<void>((resolve) => (this.wake = resolve))
    }
    const [data] = this.waiting
    const count = Math.min(data.length, target.length)
    target.set(data.subarray(0, count))
    if (count < data.length) this.waiting[0] = data.subarray(count)
    else this.waiting.shift()
    this.bytes -= count
    if (this.bytes <= UNPACKED_AHEAD && this.stream.isPaused()) this.stream.resume()
    return count
  }

  private open(): Transform {
    const stream = this.packing === 'gzip' ? zlib.createGunzip() : zstd.createZstdDecompress?.()
    if (stream === undefined) throw noZstd(this.name)
    stream.on('data', (data: Buffer) => {
      this.waiting.push(data)
      this.bytes += data.length
      if (this.bytes > UNPACKED_AHEAD) stream.pause()
      this.wake()
    })
    stream.on('end', () => this.end(stream))
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      if (stream === this.stream) this.fail(cause)
    })
    return stream
  }

  private feed(): void {
    const count = this.raw.read(this.chunk)
    if (count > 0) return this.write(this.chunk.subarray(0, count))
    this.rawEnded = true
    // Between two frames of zstd's, the end is where it may be.
    if (this.fresh) this.ended = true
    else {
      this.writing = true
      this.stream.end()
    }
  }

  private write(bytes: Buffer): void {
    const { stream } = this
    this.writing = true
    this.fresh = false
    this.current = bytes
    // Called once all that comes of these bytes has been emitted: the chunk is free again.
    stream.write(bytes, () => {
      if (stream !== this.stream) return
      this.before += bytes.length
      this.writing = false
      this.wake()
    })
  }

  /** zstd's frames end one by one, and Node.js unpacks one only; members of gzip it goes through by itself. */
  private end(stream: Transform & { bytesWritten?: number }): void {
    if (this.rawEnded || this.packing === 'gzip') {
      this.ended = true
      return this.wake()
    }
    const rest = Buffer.from(this.current.subarray((stream.bytesWritten ?? 0) - this.before))
    this.stream = this.open()
    this.before = 0
    this.fresh = true
    this.writing = false
    if (rest.length > 0) this.write(rest)
    this.wake()
  }

  private fail(cause: NodeJS.ErrnoException): void {
    this.writing = true
    // zlib's name for input that ends too early, whatever the packing.
    if (cause.code === 'Z_BUF_ERROR') {
      this.cut = this.ended = true
    } else {
      const what = `can't use ${this.name}: it can't be unpacked any further (${cause.message})`
      this.error = new IxyError('IXY_ERR_FILE', what, 'the file is damaged, make a new one', { cause })
    }
    this.wake()
  }
}
