import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { allocateBytes, type Bytes } from './bytes.ts'
import * as pcap from './pcap.ts'

/** Read at once; holds the longest packet with its header. */
const BUFFER_BYTES = 512 * 1024
/** Upper bits of the link type: whether frames end with their FCS, and its length in 16-bit words. */
const FCS_PRESENT = 0x0400_0000
const FCS_LENGTH_SHIFT = 28

/**
 * Reads a capture packet by packet, in bounded memory and without allocating per packet.
 *
 *     const reader = new PcapReader(path)
 *     while (reader.next()) use(reader.memory, reader.offset, reader.length)
 *     reader.close()
 */
export class PcapReader {
  readonly path: string
  /** Where the current packet is: valid until the next call of next() or rewind(). Offsets may be odd. */
  readonly memory: Bytes
  offset = 0
  /** Captured bytes, without FCS. */
  length = 0
  /** Bytes the packet had on the wire; more than `length` if the capture was limited (snap length). */
  originalLength = 0
  /** Time stamp, since 1970 or whatever the writer's clock was. */
  seconds = 0
  nanoseconds = 0
  /** Packets read so far, since the start or rewind(). */
  packets = 0

  private fd: number
  private readonly view: DataView
  private readonly littleEndian: boolean
  private readonly nanosecondsPerTick: number
  private readonly fcsBytes: number
  /** The unread part of the buffer. */
  private start = 0
  private end = 0
  private filePosition = 0

  /**
   * Opens `path` and checks its header. Throws IXY_ERR_FILE if it can't be read, is no capture in pcap format
   * (pcapng is named as such), or isn't of Ethernet.
   */
  constructor(path: string) {
    this.path = path
    try {
      this.fd = openSync(path, 'r')
    } catch (cause) {
      throw pcap.fileError('read', path, cause)
    }
    try {
      // rewind() and the check of a whole file need one that can be read twice.
      if (!fstatSync(this.fd).isFile()) throw this.error('it is not a regular file', 'name a capture file')
      this.memory = allocateBytes(BUFFER_BYTES)
      this.view = new DataView(this.memory.u8.buffer)
      if (!this.fill(pcap.FILE_HEADER_BYTES)) throw this.headerCut()
      this.littleEndian = startsLittleEndian(this.view)
      this.nanosecondsPerTick = this.ticks(this.view.getUint32(0, this.littleEndian))
      this.fcsBytes = this.checkHeader()
      this.start = pcap.FILE_HEADER_BYTES
    } catch (error) {
      closeSync(this.fd)
      throw error
    }
  }

  /**
   * Moves on to the next packet; false at the end of the file. Throws IXY_ERR_FILE if the file ends within a packet or
   * has a length no packet can have; `packets` tells how many were good.
   */
  next(): boolean {
    if (!this.fill(pcap.RECORD_HEADER_BYTES)) {
      if (this.start === this.end) return false
      throw this.cut()
    }
    const { view, littleEndian } = this
    const captured = view.getUint32(this.start + pcap.CAPTURED_LENGTH, littleEndian)
    if (captured > pcap.MAX_CAPTURED_BYTES)
      throw this.error(
        `packet ${this.packets + 1} claims to have ${captured} bytes; ${this.good()}`,
        'the file is damaged, make a new one',
      )
    if (!this.fill(pcap.RECORD_HEADER_BYTES + captured)) throw this.cut()
    this.seconds = view.getUint32(this.start + pcap.SECONDS, littleEndian)
    this.nanoseconds = view.getUint32(this.start + pcap.FRACTION, littleEndian) * this.nanosecondsPerTick
    const original = view.getUint32(this.start + pcap.ORIGINAL_LENGTH, littleEndian)
    // Of a packet cut by the snap length, the FCS is what went first.
    this.length = Math.max(0, Math.min(captured, original - this.fcsBytes))
    this.originalLength = original - this.fcsBytes
    this.offset = this.start + pcap.RECORD_HEADER_BYTES
    this.start = this.offset + captured
    this.packets++
    return true
  }

  /** Back to the first packet. */
  rewind(): void {
    this.start = this.end = 0
    this.filePosition = pcap.FILE_HEADER_BYTES
    this.packets = 0
  }

  /** Idempotent. */
  close(): void {
    if (this.fd !== -1) closeSync(this.fd)
    this.fd = -1
  }

  /** Makes sure that `bytes` unread bytes are in the buffer; false if the file ends before. */
  private fill(bytes: number): boolean {
    if (this.end - this.start >= bytes) return true
    const { u8 } = this.memory
    u8.copyWithin(0, this.start, this.end)
    this.end -= this.start
    this.start = 0
    while (this.end < bytes) {
      const count = this.read(u8)
      if (count === 0) return false
      this.end += count
      this.filePosition += count
    }
    return true
  }

  private read(u8: Uint8Array): number {
    try {
      return readSync(this.fd, u8, this.end, u8.length - this.end, this.filePosition)
    } catch (cause) {
      throw pcap.fileError('read', this.path, cause)
    }
  }

  private ticks(magic: number): number {
    if (magic === pcap.MAGIC_MICROSECONDS) return 1000
    if (magic === pcap.MAGIC_NANOSECONDS) return 1
    if (magic === pcap.MAGIC_PCAPNG)
      throw this.error(
        'it is in pcapng format, only pcap is understood',
        `convert it: editcap -F pcap ${this.path} out.pcap`,
      )
    throw this.error(
      `it doesn't start like a pcap file (0x${magic.toString(16).padStart(8, '0')})`,
      'name a capture in pcap format, unpacked',
    )
  }

  /** Returns the length of the FCS that frames in this file end with. */
  private checkHeader(): number {
    const version = this.view.getUint16(pcap.VERSION, this.littleEndian)
    if (version !== pcap.VERSION_MAJOR)
      throw this.error(`it has version ${version} of the format`, 'convert it: editcap -F pcap')
    const link = this.view.getUint32(pcap.LINK_TYPE, this.littleEndian)
    if ((link & 0xffff) !== pcap.LINKTYPE_ETHERNET)
      throw this.error(
        `it is not of Ethernet (link type ${link & 0xffff})`,
        'capture on an Ethernet interface, not on "any"',
      )
    return (link & FCS_PRESENT) === 0 ? 0 : (link >>> FCS_LENGTH_SHIFT) * 2
  }

  private headerCut(): IxyError {
    if (this.end === 0) return this.error('it is empty', 'name a capture in pcap format')
    // pcapng and other formats are better named than called too short.
    if (this.end >= 4) this.ticks(this.view.getUint32(0, startsLittleEndian(this.view)))
    return this.error('it ends within its header', 'name a capture in pcap format')
  }

  private cut(): IxyError {
    return this.error(
      `it ends within packet ${this.packets + 1}; ${this.good()}`,
      `keep the good part: editcap -F pcap ${this.path} out.pcap`,
    )
  }

  private good(): string {
    return this.packets === 1 ? '1 packet before it is good' : `${this.packets} packets before it are good`
  }

  private error(what: string, fix: string): IxyError {
    return new IxyError('IXY_ERR_FILE', `can't use ${this.path}: ${what}`, fix)
  }
}

function startsLittleEndian(view: DataView): boolean {
  const magic = view.getUint32(0, true)
  return magic === pcap.MAGIC_MICROSECONDS || magic === pcap.MAGIC_NANOSECONDS
}

export interface PcapSummary {
  readonly packets: number
  /** Without the headers of the format. */
  readonly bytes: number
  /** Packets of which the capture holds only the beginning. */
  readonly cut: number
}

/** Reads through all of a capture. Throws IXY_ERR_FILE for whatever is wrong in it, see PcapReader. */
export function checkPcap(path: string): PcapSummary {
  const reader = new PcapReader(path)
  try {
    let bytes = 0
    let cut = 0
    while (reader.next()) {
      bytes += reader.length
      if (reader.length < reader.originalLength) cut++
    }
    return { packets: reader.packets, bytes, cut }
  } finally {
    reader.close()
  }
}
