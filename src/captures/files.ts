/** Captures for programs: read one packet by packet, write one. They block or fill memory as any file does: not for the hot path. */
import { realtime } from '../linux/realtime.ts'
import { allocateBytes, type Bytes } from '../packet/bytes.ts'
import { MAX_CAPTURED_BYTES } from '../packet/pcap.ts'
import { RawSource, unpacked } from './byte-source.ts'
import { type CaptureWriter, pcapWriter } from './capture-writer.ts'
import type { Stamp } from './layout.ts'
import { captureError } from './packet.ts'
import { CaptureParser } from './parser.ts'

/** A packet of a capture, with a copy of its bytes. */
export interface CaptureRecord {
  /** Its bytes without FCS, as far as they were captured. */
  readonly data: Uint8Array
  /** Bytes that it had on the wire, without FCS: more than `data` has if the capture was limited (snap length). */
  readonly wireLength: number
  /** When it was captured: seconds since 1970, and nanoseconds from 0 to 999,999,999 on top of them. */
  readonly seconds: number
  readonly nanoseconds: number
  /** LINKTYPE_… of tcpdump.org; 1 is Ethernet. */
  readonly linkType: number
}

const WATCH = { calledOff: () => false, waiting: () => undefined }

/**
 * The packets of a capture in order: pcap or pcapng, also packed by gzip or zstd (Node.js 22.15 and up), `-` is stdin.
 *
 *     for await (const { data } of readCapture('in.pcap')) …
 *     const all = await Array.fromAsync(readCapture('in.pcap'))       // Node.js 22 and up
 *
 * Memory is bounded as long as the packets are not kept. Reading blocks the thread. Throws IXY_ERR_FILE if the file can't be read,
 * is no capture, or is damaged or cut: after all packets before that place.
 */
export async function* readCapture(file: string): AsyncGenerator<CaptureRecord, void, void> {
  const raw = new RawSource(file, 'self', WATCH)
  try {
    const source = await unpacked(raw, file)
    const parser = new CaptureParser(file)
    for (;;) {
      while (parser.next()) yield copyOf(parser)
      const count = await source.read(parser.space())
      if (count === 0) break
      parser.added(count)
    }
    if (!parser.end() || source.cut)
      throw captureError(file, `it ends within packet ${parser.packets + 1}`, 'make a new one')
  } finally {
    raw.close()
  }
}

function copyOf({ memory, packet }: CaptureParser): CaptureRecord {
  const { offset, length, originalLength, seconds, nanoseconds, linkType } = packet
  const data = memory.u8.slice(offset, offset + length)
  return { data, wireLength: originalLength, seconds, nanoseconds, linkType }
}

/**
 * Writes Ethernet frames to a pcap file with nanoseconds.
 *
 *     const capture = new CaptureFile('out.pcap')
 *     capture.write(frame)
 *     capture.close()
 *
 * Writing blocks the thread now and then, when 256 KiB are full; until then, or `close`, packets are in memory only.
 */
export class CaptureFile {
  private readonly writer: CaptureWriter
  private readonly scratch: Bytes = allocateBytes(MAX_CAPTURED_BYTES)

  /** Creates or empties the file; `-` is stdout. Throws IXY_ERR_OUTPUT. */
  constructor(file: string) {
    this.writer = pcapWriter({ name: file, owner: 'self' }, MAX_CAPTURED_BYTES, WATCH)
    this.writer.open()
  }

  /**
   * Appends the frame of `length` bytes (without FCS) at `offset`, captured now unless `seconds` since 1970 and `nanoseconds` are
   * given. `wireLength`: what it had on the wire. Throws IXY_ERR_OUTPUT if the disk is full; RangeError if the bytes aren't there.
   */
  write(
    u8: Uint8Array,
    offset = 0,
    length = u8.length - offset,
    seconds?: number,
    nanoseconds = 0,
    wireLength = length,
  ): void {
    if (!(offset >= 0 && length >= 0 && length <= MAX_CAPTURED_BYTES && offset + length <= u8.length))
      throw new RangeError(`no frame of ${length} bytes at ${offset}`)
    this.scratch.u8.set(u8.subarray(offset, offset + length))
    const time = seconds === undefined ? realtime() : { seconds, nanoseconds }
    const stamp: Stamp = { ...time, originalLength: wireLength, queue: 0, drops: 0 }
    this.writer.write(this.scratch, 0, length, stamp)
  }

  /** Writes the rest and closes the file. Idempotent. Throws IXY_ERR_OUTPUT. */
  close(): void {
    this.writer.close()
  }
}
