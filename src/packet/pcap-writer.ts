import { closeSync, openSync, writeSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { allocateBytes, type Bytes, copyBytes } from './bytes.ts'
import * as pcap from './pcap.ts'

const BUFFER_BYTES = 256 * 1024

/**
 * Writes a capture with nanosecond time stamps, little-endian. Packets collect in a buffer of 256 KiB; a full buffer is
 * written out at once, and the file grows by whole packets only, so that others can read it meanwhile.
 */
export class PcapWriter {
  readonly path: string
  packets = 0
  /** Without the headers of the format. */
  bytes = 0
  private fd: number
  private readonly buffer: Bytes
  private readonly view: DataView
  private used = 0

  /** Creates or replaces `path` and writes the file header. Throws IXY_ERR_FILE, IXY_ERR_OUTPUT. */
  constructor(path: string) {
    this.path = path
    try {
      this.fd = openSync(path, 'w')
    } catch (cause) {
      throw pcap.fileError('write', path, cause)
    }
    this.buffer = allocateBytes(BUFFER_BYTES)
    this.view = new DataView(this.buffer.u8.buffer)
    this.view.setUint32(0, pcap.MAGIC_NANOSECONDS, true)
    this.view.setUint16(pcap.VERSION, pcap.VERSION_MAJOR, true)
    this.view.setUint16(pcap.VERSION + 2, pcap.VERSION_MINOR, true)
    this.view.setUint32(pcap.SNAP_LENGTH, pcap.MAX_CAPTURED_BYTES, true)
    this.view.setUint32(pcap.LINK_TYPE, pcap.LINKTYPE_ETHERNET, true)
    this.used = pcap.FILE_HEADER_BYTES
    try {
      this.flush()
    } catch (error) {
      closeSync(this.fd)
      throw error
    }
  }

  /** True if packets wait in the buffer. */
  get pending(): boolean {
    return this.used > 0
  }

  /** Appends a packet of up to 64 KiB. Throws IXY_ERR_OUTPUT if a full buffer can't be written. */
  write(memory: Bytes, offset: number, length: number, seconds: number, nanoseconds: number): void {
    if (this.used + pcap.RECORD_HEADER_BYTES + length > BUFFER_BYTES) this.flush()
    const { view, used } = this
    view.setUint32(used + pcap.SECONDS, seconds, true)
    view.setUint32(used + pcap.FRACTION, nanoseconds, true)
    view.setUint32(used + pcap.CAPTURED_LENGTH, length, true)
    view.setUint32(used + pcap.ORIGINAL_LENGTH, length, true)
    copyBytes(memory, offset, this.buffer, used + pcap.RECORD_HEADER_BYTES, length)
    this.used = used + pcap.RECORD_HEADER_BYTES + length
    this.packets++
    this.bytes += length
  }

  /** Writes out what waits in the buffer. Throws IXY_ERR_OUTPUT (disk full…); the buffer is empty afterwards either way. */
  flush(): void {
    const { used } = this
    this.used = 0
    let done = 0
    try {
      while (done < used) done += writeSync(this.fd, this.buffer.u8, done, used - done)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const what = `${this.path} can't be written any more: ${reason}`
      throw new IxyError('IXY_ERR_OUTPUT', what, 'make room and run again: the capture is cut', { cause })
    }
  }

  /** Writes the rest and closes the file. Idempotent. Throws IXY_ERR_OUTPUT if the rest can't be written. */
  close(): void {
    if (this.fd === -1) return
    try {
      this.flush()
    } finally {
      closeSync(this.fd)
      this.fd = -1
    }
  }
}
