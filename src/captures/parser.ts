/** From a capture's bytes to its packets, in whatever format it is. */
import * as pcap from '../packet/pcap.ts'
import { type CapturedPacket, captureError, type Format } from './packet.ts'
import { PcapFormat } from './pcap-format.ts'
import { PcapngFormat } from './pcapng-format.ts'
import { Window } from './window.ts'

/**
 *     for (;;) {
 *       while (parser.next()) use(parser.memory, parser.packet)
 *       const count = await source.read(parser.space())
 *       if (count === 0) break
 *       parser.added(count)
 *     }
 *     parser.end()
 *
 * Memory is bounded, whatever the capture's size, and nothing is allocated per packet of a pcap file.
 */
export class CaptureParser {
  /** The current packet, valid until the next call of anything here. */
  readonly packet: CapturedPacket = {
    offset: 0,
    length: 0,
    originalLength: 0,
    snapLength: 0,
    capturedLength: 0,
    seconds: 0,
    nanoseconds: 0,
    badTime: false,
    linkType: 0,
  }
  /** Packets so far. */
  packets = 0
  private readonly name: string
  private readonly window = new Window()
  private format: Format | null = null

  /** `name`: of the file, for messages. */
  constructor(name: string) {
    this.name = name
  }

  /** Where `packet.offset` counts. */
  get memory(): Window['memory'] {
    return this.window.memory
  }

  /** Moves on to the next packet; false if more bytes are needed. Throws IXY_ERR_FILE for what is no capture. */
  next(): boolean {
    if (!this.begin() || this.format === null) return false
    if (!this.format.next(this.packet, this.packets + 1)) return false
    this.packets++
    return true
  }

  /** Reads the file's header; false if more bytes are needed. Throws IXY_ERR_FILE. */
  begin(): boolean {
    const { window, name } = this
    if (this.format !== null) return true
    if (!window.has(4)) return false
    const magic = window.view.getUint32(window.start, false)
    if (magic === pcap.MAGIC_PCAPNG) {
      this.format = new PcapngFormat(window, name)
      return true
    }
    if (!pcap.isMagic(magic) && !pcap.isMagic(window.view.getUint32(window.start, true)))
      throw captureError(
        name,
        `it doesn't start like a capture (0x${magic.toString(16).padStart(8, '0')})`,
        'name one in pcap or pcapng format',
      )
    if (!window.has(pcap.FILE_HEADER_BYTES)) return false
    this.format = new PcapFormat(window, name)
    return true
  }

  /** Where the next bytes of the file are to be written. Never empty. */
  space(): Uint8Array {
    return this.window.space()
  }

  /** So many bytes were written there. */
  added(bytes: number): void {
    this.window.added(bytes)
  }

  /** There are no more bytes. Returns true if the file ends where it may. Throws IXY_ERR_FILE if it isn't a capture. */
  end(): boolean {
    const { window, name } = this
    if (this.format !== null) return window.unread === 0 && !window.skipping
    if (window.unread === 0) throw captureError(name, 'it is empty', 'name a capture')
    throw captureError(name, 'it ends within its header', 'name a capture')
  }

  /** The file is read again from its start. */
  rewind(): void {
    this.window.clear()
    this.format = null
    this.packets = 0
  }
}
