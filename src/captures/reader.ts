/** Reads a capture as Ethernet frames that can be sent, with the times at which to send them. */
import { IxyError } from '../errors.ts'
import { HEADER_BYTES } from '../packet/ethernet.ts'
import { type ByteSource, RawSource, unpacked } from './byte-source.ts'
import { Framer } from './link-types.ts'
import type { Log, ReaderOptions } from './messages.ts'
import { captureError } from './packet.ts'
import { CaptureParser } from './parser.ts'
import { Timeline } from './timeline.ts'

/**
 *     const reader = new CaptureReader(options, () => false, log)
 *     do {
 *       while (reader.next()) use(reader.memory, reader.offset, reader.length)
 *     } while (await reader.read())
 *     reader.close()
 *
 * Blocks its thread while it reads, so it is for threads that may wait. Memory is bounded, whatever the capture's size.
 * What can't be sent is skipped, counted and told to `log`, each kind of thing once. All but close() throw IXY_ERR_FILE
 * where the capture can't be read on, and CalledOff.
 */
export class CaptureReader {
  // The current frame, valid until the next call of anything here.
  offset = 0
  length = 0
  /** Milliseconds from the first frame to this one, by the capture's time stamps; never fewer than for the one before. */
  time = 0
  /** The capture has only the beginning of it. */
  cut = false
  // So far in this round.
  frames = 0
  /** Packets that can't be sent. */
  skipped = 0

  private readonly options: ReaderOptions
  private readonly log: Log
  private readonly raw: RawSource
  private readonly parser: CaptureParser
  private readonly framer: Framer
  private readonly timeline: Timeline
  private source: ByteSource | null = null
  /** Kinds of warnings that were given. */
  private readonly warned = new Set<string>()
  /** Packets of the first round; -1 until its end. */
  private packets = -1

  /** `calledOff` is asked while it waits for a stream. Throws IXY_ERR_FILE if there is no such file. */
  constructor(options: ReaderOptions, calledOff: () => boolean, log: Log) {
    const { name } = options
    this.options = options
    this.log = log
    this.parser = new CaptureParser(name)
    this.framer = new Framer(name, options.mac)
    this.timeline = new Timeline(options.speed, options.gap)
    this.raw = new RawSource(name, options.owner, {
      calledOff,
      waiting: () => log('progress', `${name}: waiting for its writer`),
    })
  }

  get memory(): CaptureParser['memory'] {
    return this.parser.memory
  }

  /** Moves on to the next frame; false if more of the capture must be read first. */
  next(): boolean {
    while (this.parser.next()) {
      if (!this.usable()) continue
      this.frames++
      return true
    }
    return false
  }

  /** Reads on; false at the end of the capture. */
  async read(): Promise<boolean> {
    const { parser, raw, options } = this
    this.source ??= await unpacked(raw, options.name)
    const count = await this.source.read(parser.space())
    parser.added(count)
    if (count > 0) return true
    if (this.source.cut && !parser.begin())
      throw captureError(options.name, 'it ends before its first packet', 'make a new one')
    const whole = parser.end() && !this.source.cut
    if (raw.shrunk || (this.packets >= 0 && parser.packets !== this.packets))
      throw captureError(options.name, 'it has changed while it was read', 'use a copy of it')
    this.packets = parser.packets
    if (!whole) this.complain('end', `it ends within packet ${parser.packets + 1}`, 'it is used up to there')
    return false
  }

  /** After the end: warns of a capture with nothing in it that can be sent. */
  complainIfEmpty(): void {
    if (this.frames === 0) this.complain('empty', 'it has no packet that can be sent', 'so nothing is sent')
  }

  /** Throws IXY_ERR_FILE if the capture can be read once only, as it comes from a stream. */
  checkRepeatable(): void {
    if (this.raw.seekable) return
    throw captureError(
      this.options.name,
      'it is too long to be sent again without being read again',
      'save it to a file and use that',
    )
  }

  /** From the first frame again, after the end. */
  rewind(): void {
    this.checkRepeatable()
    this.raw.rewind()
    this.parser.rewind()
    this.timeline.restart()
    this.source = null
    this.frames = this.skipped = 0
  }

  /** Idempotent. */
  close(): void {
    this.raw.close()
  }

  /** Makes a frame of the parser's packet; false if there is none in it. */
  private usable(): boolean {
    const { parser, framer, timeline } = this
    const { packet, packets } = parser
    const reason = this.whyNot()
    if (reason !== null) {
      this.skipped++
      this.complain(reason, `packet ${packets} ${reason}`, 'it is skipped, as are others like it')
      return false
    }
    this.offset = framer.offset
    this.length = framer.length
    this.cut = packet.length < packet.originalLength
    if (this.cut)
      this.complain(
        'snap',
        `it has only ${packet.length} of the ${packet.originalLength} bytes of packet ${packets}`,
        'that and others like it are sent as they were captured',
      )
    if (packet.badTime)
      this.complain(
        'time',
        `the time of packet ${packets} has a fraction of more than a second`,
        'it is taken for the end of that second, as in others like it',
      )
    const { setBack } = timeline
    this.time = timeline.next(packet.seconds, packet.nanoseconds)
    if (timeline.setBack > setBack)
      this.complain(
        'clock',
        `the time goes back at packet ${packets}`,
        'it is sent without a pause, as are others',
      )
    return true
  }

  /** Why the parser's packet can't be sent; null if it can. */
  private whyNot(): string | null {
    const { framer, options } = this
    const { packet, memory } = this.parser
    const { originalLength, capturedLength, snapLength } = packet
    if (capturedLength === 0) return 'has no bytes'
    if (originalLength === 0) return 'claims to have had no bytes'
    if (snapLength > 0 && capturedLength > snapLength)
      return `has more bytes than the ${snapLength} that the capture was limited to`
    if (!framer.frame(memory.u8, packet)) return 'is nothing that Ethernet carries'
    if (framer.length > options.longest) return `has over ${options.longest} bytes`
    return framer.length < HEADER_BYTES ? 'is shorter than an Ethernet header' : null
  }

  /** Warns of a kind of thing once; refuses it if that is wanted. */
  private complain(kind: string, what: string, consequence: string): void {
    const { name, strict } = this.options
    if (strict)
      throw new IxyError(
        'IXY_ERR_FILE',
        `can't use ${name}: ${what}`,
        'leave out strict to use it all the same',
      )
    if (!this.warned.has(kind)) this.log('warning', `${name}: ${what}; ${consequence}`)
    this.warned.add(kind)
  }
}
