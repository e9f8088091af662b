/** Writes captures: whole records only, whatever happens. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { POLLOUT, PollSet } from '../linux/poll.ts'
import { allocateBytes, type Bytes, copyBytes } from '../packet/bytes.ts'
import * as pcap from '../packet/pcap.ts'
import { CalledOff, type Watch } from './byte-source.ts'
import { isStandardStream, toPath } from './file-name.ts'

const BUFFER_BYTES = 256 * 1024
const MOST_RECORDS = BUFFER_BYTES / pcap.RECORD_HEADER_BYTES
/** A pipe that is ready takes so many bytes at once (pipe(7), PIPE_BUF): the write doesn't block. */
const PIPE_BYTES = 4096
/** How often a thread that waits for a reader looks whether it is to end, milliseconds. */
const LOOK_EVERY = 100

export interface WriterOptions {
  /** As written on the command line, see file-name.ts. */
  readonly name: string
  readonly owner: number | 'self'
  readonly snapLength: number
  readonly fileBytes: number | null
  readonly files: number
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Nanosecond time stamps, little-endian. Writing blocks the thread: for threads that do nothing else. */
export class CaptureWriter {
  /** Records that are in the file, or files. */
  recorded = 0
  /** Bytes that have been written, with those of a record that is not whole yet. */
  written = 0
  private readonly options: WriterOptions
  private readonly watch: Watch
  private readonly buffer: Bytes = allocateBytes(BUFFER_BYTES)
  private readonly view = new DataView(this.buffer.u8.buffer)
  private used = 0
  /** Where the records in the buffer end. */
  private readonly ends = new Int32Array(MOST_RECORDS)
  private records = 0
  private fd = -1
  private stream: PollSet | null = null
  private inFile = 0
  private numbered = 0
  private readonly kept: string[] = []

  /** Opens nothing yet. */
  constructor(options: WriterOptions, watch: Watch) {
    this.options = options
    this.watch = watch
  }

  /** Creates or empties the file and writes its header. Throws IXY_ERR_OUTPUT, CalledOff. */
  open(now = new Date()): void {
    const name = this.nextName(now)
    try {
      this.openFile(name)
      const state = fstatSync(this.fd)
      this.stream = state.isFile() ? null : new PollSet([this.fd], POLLOUT)
    } catch (cause) {
      if (cause instanceof CalledOff) throw cause
      const { message } = pcap.fileError('write', name, cause)
      throw new IxyError('IXY_ERR_OUTPUT', message, '', { cause })
    }
    this.kept.push(name)
    if (this.kept.length > this.options.files) this.remove(this.kept.shift() ?? '')
    const { view } = this
    view.setUint32(0, pcap.MAGIC_NANOSECONDS, true)
    view.setUint16(pcap.VERSION, pcap.VERSION_MAJOR, true)
    view.setUint16(pcap.VERSION + 2, pcap.VERSION_MINOR, true)
    view.setUint32(pcap.VERSION + 4, 0, true)
    view.setUint32(pcap.VERSION + 8, 0, true)
    view.setUint32(pcap.SNAP_LENGTH, this.options.snapLength, true)
    view.setUint32(pcap.LINK_TYPE, pcap.LINKTYPE_ETHERNET, true)
    this.used = pcap.FILE_HEADER_BYTES
    this.inFile = 0
    this.flush()
  }

  /** Appends a packet of which `length` bytes are there. Throws IXY_ERR_OUTPUT, CalledOff if a full buffer can't be written. */
  write(
    memory: Bytes,
    offset: number,
    length: number,
    originalLength: number,
    seconds: number,
    nanoseconds: number,
  ): void {
    if (this.used + pcap.RECORD_HEADER_BYTES + length > BUFFER_BYTES || this.records === MOST_RECORDS)
      this.flush()
    const { view, used, options } = this
    view.setUint32(used + pcap.SECONDS, seconds, true)
    view.setUint32(used + pcap.FRACTION, nanoseconds, true)
    view.setUint32(used + pcap.CAPTURED_LENGTH, length, true)
    view.setUint32(used + pcap.ORIGINAL_LENGTH, originalLength, true)
    copyBytes(memory, offset, this.buffer, used + pcap.RECORD_HEADER_BYTES, length)
    this.used = used + pcap.RECORD_HEADER_BYTES + length
    this.ends[this.records++] = this.used
    if (options.fileBytes !== null && this.inFile + this.used >= options.fileBytes) {
      this.close()
      this.open()
    }
  }

  /** Writes out what is in the buffer. Throws IXY_ERR_OUTPUT, CalledOff; the file then ends with the last whole record. */
  flush(): void {
    const { used } = this
    let done = 0
    try {
      while (done < used) {
        const count = this.writeSome(done, used)
        done += count
        this.written += count
      }
      this.recorded += this.records
      this.inFile += used
    } catch (cause) {
      this.endWithWhole(done)
      if (cause instanceof CalledOff) throw cause
      const reason = cause instanceof Error ? cause.message : String(cause)
      const closed = cause instanceof Error && 'code' in cause && cause.code === 'EPIPE'
      const what = `${this.options.name} can't be written any more: ${reason}`
      const fix = closed ? 'its reader has gone' : 'make room and run again: the capture is cut'
      throw new IxyError('IXY_ERR_OUTPUT', what, fix, { cause })
    } finally {
      this.used = this.records = 0
    }
  }

  /** Writes the rest and closes the file. Idempotent. Throws as flush(). */
  close(): void {
    if (this.fd === -1) return
    try {
      this.flush()
    } finally {
      if (!this.standard) closeSync(this.fd)
      this.fd = -1
    }
  }

  private get standard(): boolean {
    return isStandardStream(this.options.name, 1)
  }

  private openFile(name: string): void {
    if (this.standard) {
      this.fd = 1
      return
    }
    const since = performance.now()
    for (let told = false; ;) {
      try {
        const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants
        this.fd = openSync(toPath(name, this.options.owner), O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0o666)
        return
      } catch (cause) {
        // A FIFO that nobody reads.
        if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENXIO')) throw cause
      }
      if (this.watch.calledOff()) throw new CalledOff()
      if (!told && performance.now() - since > LOOK_EVERY) {
        this.watch.waiting()
        told = true
      }
      Atomics.wait(NEVER, 0, 0, LOOK_EVERY)
    }
  }

  private writeSome(done: number, used: number): number {
    if (this.stream === null) return writeSync(this.fd, this.buffer.u8, done, used - done)
    while (this.stream.wait(LOOK_EVERY) === 0) if (this.watch.calledOff()) throw new CalledOff()
    try {
      return writeSync(this.fd, this.buffer.u8, done, Math.min(PIPE_BYTES, used - done))
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN') return 0
      throw cause
    }
  }

  /** Of the buffer, `done` bytes have been written: takes back what is no whole record, and counts the others. */
  private endWithWhole(done: number): void {
    let whole = 0
    while (whole < this.records && this.ends[whole] <= done) whole++
    this.recorded += whole
    const end = whole === 0 ? 0 : this.ends[whole - 1]
    if (this.stream !== null || done === end) return
    try {
      ftruncateSync(this.fd, fstatSync(this.fd).size - (done - end))
      this.written -= done - end
    } catch {
      // A reader copes: it plays up to the cut.
    }
  }

  private nextName(now: Date): string {
    const { name, fileBytes } = this.options
    if (fileBytes === null) return name
    this.numbered++
    return numberedName(name, this.numbered, now)
  }

  private remove(name: string): void {
    try {
      unlinkSync(toPath(name, this.options.owner))
    } catch {
      // Somebody else has been tidying up.
    }
  }
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
