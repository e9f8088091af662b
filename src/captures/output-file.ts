/** A file, a FIFO or stdout that a thread writes, which may block for it. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { POLLOUT, PollSet } from '../linux/poll.ts'
import { fileError } from '../packet/pcap.ts'
import { CalledOff, type Watch } from './byte-source.ts'
import { isStandardStream, toPath } from './file-name.ts'

/**
 * A pipe that is ready takes so many bytes at once (pipe(7), PIPE_BUF): the write doesn't block, though stdout is left as it is. What
 * we have opened ourselves never blocks, and takes what it has room for.
 */
const PIPE_BYTES = 4096
/** How often a thread that waits for a reader looks whether it is to end, milliseconds. */
const LOOK_EVERY = 100

const NEVER = new Int32Array(new SharedArrayBuffer(4))

export class OutputFile {
  private readonly fd: number
  private readonly stream: PollSet | null
  private readonly watch: Watch
  private readonly standard: boolean

  /**
   * Creates or empties it; `name` as written on the command line, see file-name.ts. Waits for the reader of a FIFO. Throws
   * IXY_ERR_OUTPUT, CalledOff.
   */
  constructor(name: string, owner: number | 'self', watch: Watch) {
    this.watch = watch
    this.standard = isStandardStream(name, 1)
    try {
      this.fd = this.standard ? 1 : openFile(toPath(name, owner), watch)
      this.stream = fstatSync(this.fd).isFile() ? null : new PollSet([this.fd], POLLOUT)
    } catch (cause) {
      if (cause instanceof CalledOff) throw cause
      const { message } = fileError('write', name, cause)
      throw new IxyError('IXY_ERR_OUTPUT', message, '', { cause })
    }
  }

  /** Writes some of `bytes` between the two; returns how many. Throws what node:fs throws, CalledOff. */
  write(bytes: Uint8Array, from: number, to: number): number {
    if (this.stream === null) return writeSync(this.fd, bytes, from, to - from)
    while (this.stream.wait(LOOK_EVERY) === 0) if (this.watch.calledOff()) throw new CalledOff()
    try {
      return writeSync(this.fd, bytes, from, this.standard ? Math.min(PIPE_BYTES, to - from) : to - from)
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN') return 0
      throw cause
    }
  }

  /** Takes back the last `bytes` that were written; false if that can't be done. */
  takeBack(bytes: number): boolean {
    if (this.stream !== null) return false
    try {
      ftruncateSync(this.fd, fstatSync(this.fd).size - bytes)
      return true
    } catch {
      return false
    }
  }

  close(): void {
    if (!this.standard) closeSync(this.fd)
  }
}

function openFile(file: string | Buffer, watch: Watch): number {
  const since = performance.now()
  for (let told = false; ;) {
    try {
      const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants
      return openSync(file, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0o666)
    } catch (cause) {
      // A FIFO that nobody reads.
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENXIO')) throw cause
    }
    if (watch.calledOff()) throw new CalledOff()
    if (!told && performance.now() - since > LOOK_EVERY) {
      watch.waiting()
      told = true
    }
    Atomics.wait(NEVER, 0, 0, LOOK_EVERY)
  }
}
