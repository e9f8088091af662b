/** Writes captures: whole records only, whatever happens. */
import { unlinkSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { allocateBytes, type Bytes } from '../packet/bytes.ts'
import { CalledOff, type Watch } from './byte-source.ts'
import { type FileLimits, ONE_FILE } from './file-limits.ts'
import { toPath } from './file-name.ts'
import { type Draft, type Layout, PcapLayout, type Stamp } from './layout.ts'
import { OutputFile } from './output-file.ts'

const BUFFER_BYTES = 256 * 1024

export interface WriterOptions {
  /** As written on the command line, see file-name.ts. */
  readonly name: string
  readonly owner: number | 'self'
  readonly limits: FileLimits
}

/** Writing blocks the thread: for threads that do nothing else. */
export class CaptureWriter {
  /** Records that are in the file, or files. */
  recorded = 0
  /** Bytes that have been written, with those of a record that is not whole yet. */
  written = 0
  /** Files that were begun. */
  files = 0
  /** The last file is full: nothing more is to be written. */
  complete = false
  private readonly options: WriterOptions
  private readonly watch: Watch
  private readonly layout: Layout
  private readonly draft: Draft
  private used = 0
  /** Where the records in the buffer end. */
  private readonly ends: Int32Array
  private records = 0
  private file: OutputFile | null = null
  private inFile = 0
  private packetsInFile = 0
  /** The next packet begins another file. */
  private due = false
  private begunAt = 0
  /** Something could not be written: what is in the file is whole, or it is cut, and nothing may follow. */
  private failed: 'whole' | 'cut' | null = null
  private readonly kept: string[] = []

  /** Opens nothing yet. */
  constructor(options: WriterOptions, layout: Layout, watch: Watch) {
    this.options = options
    this.watch = watch
    this.layout = layout
    const buffer = allocateBytes(BUFFER_BYTES)
    this.draft = { ...buffer, view: new DataView(buffer.u8.buffer) }
    this.ends = new Int32Array(BUFFER_BYTES / layout.least)
  }

  /** Creates or empties the file and writes its header. Throws IXY_ERR_OUTPUT, CalledOff. */
  open(now = new Date()): void {
    const { name, owner, limits } = this.options
    this.files++
    const file = limits.single ? name : numberedName(name, this.files, now)
    this.file = new OutputFile(file, owner, this.watch)
    this.kept.push(file)
    if (this.kept.length > limits.files) this.remove(this.kept.shift() ?? '')
    this.used = this.layout.header(this.draft)
    this.inFile = 0
    this.packetsInFile = 0
    this.due = false
    this.begunAt = performance.now()
    this.flush()
  }

  /**
   * Appends a packet of which `length` bytes are there, unless the capture is complete. Throws IXY_ERR_OUTPUT, CalledOff if a full
   * buffer can't be written.
   */
  write(memory: Bytes, offset: number, length: number, stamp: Stamp): void {
    const { layout, draft, ends } = this
    if (this.complete) return
    if (this.due) {
      this.close()
      this.open()
    }
    if (this.used + layout.most + length > BUFFER_BYTES || this.records === ends.length) this.flush()
    this.used = layout.record(draft, this.used, memory, offset, length, stamp)
    ends[this.records++] = this.used
    this.packetsInFile++
    const { fileBytes, filePackets } = this.options.limits
    if (fileBytes !== null && this.inFile + this.used >= fileBytes) this.endFile()
    else if (filePackets !== null && this.packetsInFile >= filePackets) this.endFile()
  }

  /** Looks whether this file is old enough; to be called now and then. Throws as write(). */
  look(): void {
    const { fileSeconds } = this.options.limits
    if (fileSeconds === null || this.file === null) return
    if (!this.due && performance.now() - this.begunAt >= fileSeconds * 1000) this.endFile()
  }

  /** Writes out what is in the buffer. Throws IXY_ERR_OUTPUT, CalledOff; the file then ends with the last whole record. */
  flush(): void {
    const { used, file } = this
    if (file === null) return
    let done = 0
    try {
      while (done < used) {
        const count = file.write(this.draft.u8, done, used)
        done += count
        this.written += count
      }
      this.recorded += this.records
      this.inFile += used
    } catch (cause) {
      const whole = this.endWithWhole(file, done)
      const again = this.failed !== null
      this.failed = whole && !(cause instanceof CalledOff) ? 'whole' : 'cut'
      if (cause instanceof CalledOff || again) throw cause
      throw this.failure(cause)
    } finally {
      this.used = this.records = 0
    }
  }

  /** Writes the rest and closes the file. Idempotent. Throws as flush(), but not after that has thrown. */
  close(): void {
    const { file } = this
    if (file === null) return
    const before = this.failed !== null
    try {
      this.flush()
      if (this.failed !== 'cut') this.used = this.layout.trailer(this.draft, 0, this.recorded)
      this.flush()
    } catch (error) {
      if (!before) throw error
    } finally {
      file.close()
      this.file = null
    }
  }

  /**
   * Nothing more gets into this file. It is closed when the next packet comes, which begins the next one: so there is no empty one
   * for which a full one would have to go, and the last one ends with the last counts.
   */
  private endFile(): void {
    this.flush()
    if (this.files < this.options.limits.lastFile) this.due = true
    else this.complete = true
  }

  /**
   * Of the buffer, `done` bytes have been written: takes back what is no whole record, and counts the others. False if it can't be
   * taken back; a reader copes, and plays up to the cut.
   */
  private endWithWhole(file: OutputFile, done: number): boolean {
    let whole = 0
    while (whole < this.records && this.ends[whole] <= done) whole++
    this.recorded += whole
    const end = whole === 0 ? 0 : this.ends[whole - 1]
    if (done === end) return true
    if (!file.takeBack(done - end)) return false
    this.written -= done - end
    return true
  }

  private failure(cause: unknown): IxyError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const what = `${this.options.name} can't be written any more: ${reason}`
    const fix = isReaderGone(cause) ? 'its reader has gone' : 'make room and run again: the capture is cut'
    return new IxyError('IXY_ERR_OUTPUT', what, fix, { cause })
  }

  private remove(name: string): void {
    try {
      unlinkSync(toPath(name, this.options.owner))
    } catch {
      // Somebody else has been tidying up.
    }
  }
}

/** What node:fs throws, or an error that it has caused: whoever read the pipe doesn't any more. */
export function isReaderGone(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === 'EPIPE') || isReaderGone(error.cause)
}

/** As dumpcap does: `out.pcap` becomes `out_00001_20261127013336.pcap`, with the local time. */
export function numberedName(name: string, number: number, now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`
  const slash = name.lastIndexOf('/')
  const dot = name.lastIndexOf('.')
  const at = dot > slash + 1 ? dot : name.length
  return `${name.slice(0, at)}_${String(number).padStart(5, '0')}_${date}${time}${name.slice(at)}`
}

/** pcap in one file, for those who want nothing else. */
export function pcapWriter(
  options: Omit<WriterOptions, 'limits'>,
  snapLength: number,
  watch: Watch,
): CaptureWriter {
  return new CaptureWriter({ ...options, limits: ONE_FILE }, new PcapLayout(snapLength), watch)
}
