/** How packets are laid out in a file that is written: pcap here, pcapng in pcapng-layout.ts. */
import { type Bytes, copyBytes } from '../packet/bytes.ts'
import * as pcap from '../packet/pcap.ts'

/** Memory in which a piece of a file is put together. */
export interface Draft extends Bytes {
  readonly view: DataView
}

/** What there is to say of a packet besides its bytes. */
export interface Stamp {
  /** Since 1970, and nanoseconds from 0 to 999,999,999 on top of them. */
  seconds: number
  nanoseconds: number
  /** Bytes that it had on the wire, without FCS. */
  originalLength: number
  /** The queue it came from. */
  queue: number
  /** Packets that were lost between the one before it and this one. */
  drops: number
}

export interface Layout {
  /** Bytes of a record besides those of its packet: at least, and at most. */
  readonly least: number
  readonly most: number
  /** Writes what a file begins with, and returns its bytes. */
  header(draft: Draft): number
  /** Writes a packet of which `length` bytes are there; returns where its record ends. */
  record(draft: Draft, at: number, from: Bytes, offset: number, length: number, stamp: Stamp): number
  /** Writes what a file ends with, if anything; returns where that ends. `packets`: in all files so far. */
  trailer(draft: Draft, at: number, packets: number): number
}

/** pcap with nanoseconds, little-endian. */
export class PcapLayout implements Layout {
  readonly least = pcap.RECORD_HEADER_BYTES
  readonly most = pcap.RECORD_HEADER_BYTES
  private readonly snapLength: number

  constructor(snapLength: number) {
    this.snapLength = snapLength
  }

  header({ view }: Draft): number {
    view.setUint32(0, pcap.MAGIC_NANOSECONDS, true)
    view.setUint16(pcap.VERSION, pcap.VERSION_MAJOR, true)
    view.setUint16(pcap.VERSION + 2, pcap.VERSION_MINOR, true)
    view.setUint32(pcap.VERSION + 4, 0, true)
    view.setUint32(pcap.VERSION + 8, 0, true)
    view.setUint32(pcap.SNAP_LENGTH, this.snapLength, true)
    view.setUint32(pcap.LINK_TYPE, pcap.LINKTYPE_ETHERNET, true)
    return pcap.FILE_HEADER_BYTES
  }

  record(draft: Draft, at: number, from: Bytes, offset: number, length: number, stamp: Stamp): number {
    const { view } = draft
    view.setUint32(at + pcap.SECONDS, stamp.seconds, true)
    view.setUint32(at + pcap.FRACTION, stamp.nanoseconds, true)
    view.setUint32(at + pcap.CAPTURED_LENGTH, length, true)
    view.setUint32(at + pcap.ORIGINAL_LENGTH, stamp.originalLength, true)
    copyAnywhere(from, offset, draft, at + pcap.RECORD_HEADER_BYTES, length)
    return at + pcap.RECORD_HEADER_BYTES + length
  }

  trailer(_draft: Draft, at: number): number {
    return at
  }
}

/** From so many bytes on the system's copy is faster than ours byte by byte. */
const MANY = 96

/** Records of pcap aren't aligned. May make garbage. */
function copyAnywhere(from: Bytes, offset: number, to: Bytes, at: number, length: number): void {
  if (length >= MANY) to.u8.set(from.u8.subarray(offset, offset + length), at)
  else copyBytes(from, offset, to, at, length)
}
