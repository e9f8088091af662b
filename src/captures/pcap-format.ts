import * as pcap from '../packet/pcap.ts'
import { type CapturedPacket, captureError, type Format } from './packet.ts'
import type { Window } from './window.ts'

/** Upper bits of the link type: whether frames end with their FCS, and its length in 16-bit words. */
const FCS_PRESENT = 0x0400_0000
const FCS_LENGTH_SHIFT = 28
const NANOSECONDS_PER_SECOND = 1_000_000_000

/** pcap files in all byte orders and resolutions, also with Kuznetzov's longer record headers. */
export class PcapFormat implements Format {
  private readonly window: Window
  private readonly name: string
  private readonly littleEndian: boolean
  private readonly nanosecondsPerTick: number
  private readonly headerBytes: number
  private readonly snapLength: number
  private readonly linkType: number
  private readonly fcsBytes: number

  /** The file header must be in the window. Throws IXY_ERR_FILE. */
  constructor(window: Window, name: string) {
    const { view, start } = window
    this.window = window
    this.name = name
    const littleEndian = pcap.isMagic(view.getUint32(start, true))
    const magic = view.getUint32(start, littleEndian)
    this.littleEndian = littleEndian
    this.nanosecondsPerTick = magic === pcap.MAGIC_NANOSECONDS ? 1 : 1000
    this.headerBytes =
      magic === pcap.MAGIC_MODIFIED ? pcap.MODIFIED_RECORD_HEADER_BYTES : pcap.RECORD_HEADER_BYTES
    const version = view.getUint16(start + pcap.VERSION, littleEndian)
    if (version !== pcap.VERSION_MAJOR)
      throw captureError(name, `it has version ${version} of the format`, 'convert it: editcap -F pcap')
    this.snapLength = view.getUint32(start + pcap.SNAP_LENGTH, littleEndian)
    const link = view.getUint32(start + pcap.LINK_TYPE, littleEndian)
    this.linkType = link & 0xffff
    this.fcsBytes = (link & FCS_PRESENT) === 0 ? 0 : (link >>> FCS_LENGTH_SHIFT) * 2
    window.skip(pcap.FILE_HEADER_BYTES)
  }

  next(packet: CapturedPacket, number: number): boolean {
    const { window, littleEndian, headerBytes } = this
    if (!window.has(headerBytes)) return false
    const { view } = window
    const captured = view.getUint32(window.start + pcap.CAPTURED_LENGTH, littleEndian)
    if (captured > pcap.MAX_CAPTURED_BYTES)
      throw captureError(
        this.name,
        `packet ${number} claims to have ${captured} bytes`,
        'the file is damaged, make a new one',
      )
    if (!window.has(headerBytes + captured)) return false
    const { start } = window
    const original = view.getUint32(start + pcap.ORIGINAL_LENGTH, littleEndian)
    const fraction = view.getUint32(start + pcap.FRACTION, littleEndian) * this.nanosecondsPerTick
    packet.seconds = view.getUint32(start + pcap.SECONDS, littleEndian)
    packet.badTime = fraction >= NANOSECONDS_PER_SECOND
    packet.nanoseconds = packet.badTime ? NANOSECONDS_PER_SECOND - 1 : fraction
    packet.capturedLength = captured
    packet.snapLength = this.snapLength
    packet.linkType = this.linkType
    // Of a packet cut by the snap length, the FCS is what went first.
    packet.originalLength = Math.max(0, original - this.fcsBytes)
    packet.length = Math.min(captured, packet.originalLength)
    packet.offset = start + headerBytes
    window.skip(headerBytes + captured)
    return true
  }
}
