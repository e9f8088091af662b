/**
 * Signals that have come and that the main thread has not taken yet.
 *
 * libuv's signal handler writes to a pipe that the main thread reads in its event loop; no other thread learns of the
 * signal, nor does the main thread while it is blocked or busy. But whoever has the pipe can look into it: tee(2) copies what is
 * there and takes nothing out.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'
import { ioctl, tryRead } from './file.ts'
import { check, declare, type Pointer } from './libc.ts'

/** asm-generic/ioctls.h */
const FIONREAD = 0x541b
const SPLICE_F_NONBLOCK = 2
const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000
/** struct uv__signal_msg_t (libuv, src/unix/signal.c): { void *handle; int signum }, with padding. */
const MESSAGE_BYTES = 16
const MESSAGE_SIGNUM = 8
/** What a pipe holds. */
const PIPE_BYTES = 65_536

const libcPipe2 = declare<(fds: Pointer, flags: number) => number>('int pipe2(void *fds, int flags)')
const libcTee = declare<(from: number, to: number, bytes: number, flags: number) => number>(
  'long tee(int from, int to, size_t bytes, unsigned int flags)',
)

export class SignalPipe {
  readonly fd: number
  private readonly count = new Int32Array(1)
  /** The copies go through this one, made when it is needed. */
  private copy: { readonly out: number; readonly in: number } | null = null

  /** `fd`: of the pipe that find() has found, in any thread. */
  constructor(fd: number) {
    this.fd = fd
  }

  /**
   * Main thread only. Null if there is none that looks as expected: then nobody can tell. Sends this process a SIGUSR2, which
   * is ignored from then on: the pipe is the one in which it shows up.
   */
  static find(): SignalPipe | null {
    process.on('SIGUSR2', () => undefined)
    const candidates = pipes().map((fd) => new SignalPipe(fd))
    const before = candidates.map((pipe) => pipe.bytes())
    process.kill(process.pid, 'SIGUSR2')
    const found = candidates.find((pipe, i) => pipe.bytes() > before[i])
    return found?.pending().at(-1) === constants.signals.SIGUSR2 ? found : null
  }

  /** Numbers of the signals that have not been taken, in the order in which they came. */
  pending(): number[] {
    if (this.bytes() === 0) return []
    this.copy ??= makePipe()
    if (libcTee(this.fd, this.copy.in, PIPE_BYTES, SPLICE_F_NONBLOCK) <= 0) return []
    const data = Buffer.alloc(PIPE_BYTES)
    const bytes = tryRead(this.copy.out, data, data.length)
    const signals: number[] = []
    for (let at = 0; at + MESSAGE_BYTES <= bytes; at += MESSAGE_BYTES)
      signals.push(data.readInt32LE(at + MESSAGE_SIGNUM))
    return signals
  }

  private bytes(): number {
    try {
      ioctl(this.fd, 'FIONREAD', FIONREAD, this.count)
      return this.count[0]
    } catch {
      return 0
    }
  }
}

function makePipe(): { out: number; in: number } {
  const fds = new Int32Array(2)
  check(libcPipe2(fds, O_CLOEXEC | O_NONBLOCK), 'pipe2')
  return { out: fds[0], in: fds[1] }
}

/** Reading ends of pipes that this process has. */
function pipes(): number[] {
  try {
    return readdirSync('/proc/self/fd').map(Number).filter(isPipe)
  } catch {
    // No /proc.
    return []
  }
}

function isPipe(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:')
  } catch {
    // Closed meanwhile.
    return false
  }
}

let main: SignalPipe | null | undefined

/** Of this process, looked for once. Main thread only. */
export function signalPipe(): SignalPipe | null {
  if (main === undefined) main = SignalPipe.find()
  return main
}
