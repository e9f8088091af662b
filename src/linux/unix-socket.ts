/**
 * Sockets in the file system (AF_UNIX) that carry file descriptors: of streams, or of messages (SOCK_SEQPACKET), of which each
 * receive() gets one and each sendSome() sends one, or nothing.
 *
 * How to read messages of a stream: the kernel may join bytes of several sends in one receive, and the descriptors it then hands
 * over belong to the message that holds the *last* byte read. So never ask for bytes beyond the message at hand: read
 * the fixed header first, then exactly the body it announces, and add up the descriptors of all these receives.
 */
import { fchmodSync, lstatSync, unlinkSync } from 'node:fs'
import { IxyError } from '../errors.ts'
import { closeInBackground } from './background-close.ts'
import { sleepMilliseconds } from './clock.ts'
import { close } from './file.ts'
import { check, isErrno, lastErrno, LinuxError } from './libc.ts'
import { pollOne, POLLIN, POLLOUT, POLLRDHUP } from './poll.ts'
import { CHUNK, dataArea, fdsWereLost, MAX_FDS, receiveBytes, sendBytes } from './scm.ts'
import {
  createUnixPair,
  createUnixSocket,
  peerUidOf,
  tryAccept,
  tryBind,
  tryConnect,
  tryListen,
  tryShutdown,
  type UnixKind,
  unixName,
} from './socket.ts'

export interface Received {
  /** Bytes placed at the start of the target; 0: the peer has closed. */
  readonly bytes: number
  /** Descriptors that came along; the receiver's to close (closeInBackground: nobody knows what they are). */
  readonly fds: number[]
}

/** One end of a connection. Never blocks unless the method says so. */
export class UnixSocket {
  /** For poll; -1 once closed. */
  #fd: number

  /** Takes over `fd`, a connected non-blocking socket. */
  constructor(fd: number) {
    this.#fd = fd
  }

  get fd(): number {
    return this.#fd
  }

  /**
   * Connects to the server that listens at `path`. Waits up to `timeout` ms while the server's queue is full.
   * Throws LinuxError: ENOENT (no such file), ECONNREFUSED (nobody listens), EACCES, EAGAIN (queue full)…
   */
  static connect(path: string, timeout = 5000, kind: UnixKind = 'stream'): UnixSocket {
    const name = unixName(path)
    const fd = createUnixSocket(kind)
    const deadline = performance.now() + timeout
    while (tryConnect(fd, name) < 0) {
      const errno = lastErrno()
      // A full queue of a UNIX socket can't be waited for with poll.
      if (errno === 'EINTR' || (errno === 'EAGAIN' && performance.now() < deadline)) sleepMilliseconds(5)
      else {
        close(fd)
        throw new LinuxError('connect', errno, path)
      }
    }
    return new UnixSocket(fd)
  }

  /** Two connected sockets. */
  static pair(): [UnixSocket, UnixSocket] {
    const [a, b] = createUnixPair()
    return [new UnixSocket(a), new UnixSocket(b)]
  }

  /**
   * Takes what has arrived, at most `target.length` bytes (at least 1). Null if there is nothing now; `bytes` 0 if the peer has
   * closed (also if it was killed). Descriptors: see the top of this file. Throws LinuxError.
   */
  receive(target: Uint8Array): Received | null {
    const fds: number[] = []
    const bytes = receiveBytes(this.#fd, Math.min(target.length, CHUNK), fds)
    if (bytes < 0) {
      const errno = lastErrno()
      if (errno === 'EAGAIN' || errno === 'EINTR') return null
      if (errno === 'ECONNRESET') return { bytes: 0, fds }
      throw new LinuxError('recvmsg', errno)
    }
    target.set(dataArea().subarray(0, bytes))
    if (bytes > 0 && fdsWereLost()) {
      fds.forEach(closeInBackground)
      throw new LinuxError('recvmsg', 'EMFILE', 'with file descriptors')
    }
    return { bytes, fds }
  }

  /**
   * Fills `target` completely, waiting up to `timeout` ms (blocks the thread). `bytes` is less than asked for only if
   * the peer has closed. Throws LinuxError with errno ETIMEDOUT when the time is up; descriptors received are closed
   * then.
   */
  receiveFully(target: Uint8Array, timeout: number): Received {
    const deadline = performance.now() + timeout
    const fds: number[] = []
    let bytes = 0
    try {
      while (bytes < target.length) {
        const part = this.receive(target.subarray(bytes))
        if (part === null) this.#wait(POLLIN, deadline, 'recvmsg')
        else if (part.bytes === 0) break
        else {
          fds.push(...part.fds)
          bytes += part.bytes
          if (fds.length > MAX_FDS)
            throw new IxyError('IXY_ERR_PROTOCOL', `more than ${MAX_FDS} descriptors in one message`)
          // Also one who sends byte by byte has no more time.
          if (bytes < target.length && performance.now() > deadline)
            throw new LinuxError('recvmsg', 'ETIMEDOUT')
        }
      }
    } catch (error) {
      fds.forEach(closeInBackground)
      throw error
    }
    return { bytes, fds }
  }

  /**
   * Sends the chunks one after the other as one message, `fds` with the first byte, waiting up to `timeout` ms for the
   * peer to make room (blocks the thread). `fds` stay the caller's. There must be at least one byte.
   * Throws LinuxError: EPIPE (peer has closed), ETIMEDOUT (peer doesn't read).
   */
  send(chunks: Uint8Array | readonly Uint8Array[], fds: readonly number[] = [], timeout = 5000): void {
    if (fds.length > MAX_FDS)
      throw new IxyError('IXY_ERR_INTERNAL', `${fds.length} descriptors in one message`)
    const list = chunks instanceof Uint8Array ? [chunks] : chunks
    const area = dataArea()
    let pending = fds
    let filled = 0
    for (const chunk of list) {
      let taken = 0
      while (taken < chunk.length) {
        const part = Math.min(chunk.length - taken, CHUNK - filled)
        area.set(chunk.subarray(taken, taken + part), filled)
        taken += part
        filled += part
        if (filled < CHUNK) continue
        this.#sendArea(filled, pending, timeout)
        pending = []
        filled = 0
      }
    }
    if (filled > 0) this.#sendArea(filled, pending, timeout)
  }

  /**
   * Sends as much of `bytes` as the peer has room for, `fds` with the first byte, without waiting. Returns how many bytes
   * that was; 0 if there is no room now. `fds` stay the caller's. Throws LinuxError: EPIPE (peer has closed).
   */
  sendSome(bytes: Uint8Array, fds: readonly number[] = []): number {
    const part = Math.min(bytes.length, CHUNK)
    dataArea().set(bytes.subarray(0, part))
    const sent = sendBytes(this.#fd, part, fds)
    if (sent >= 0) return sent
    const errno = lastErrno()
    if (errno === 'EAGAIN' || errno === 'EINTR') return 0
    throw new LinuxError('sendmsg', errno === 'ECONNRESET' ? 'EPIPE' : errno)
  }

  /** The user (uid) who has connected, or whose server this is connected to. Throws LinuxError. */
  peerUid(): number {
    return peerUidOf(this.#fd)
  }

  #sendArea(filled: number, fds: readonly number[], timeout: number): void {
    const deadline = performance.now() + timeout
    let left = filled
    let pending = fds
    while (left > 0) {
      const sent = sendBytes(this.#fd, left, pending)
      if (sent >= 0) {
        left -= sent
        pending = []
        dataArea().copyWithin(0, sent, sent + left)
        continue
      }
      const errno = lastErrno()
      if (errno === 'EAGAIN') this.#wait(POLLOUT, deadline, 'sendmsg')
      else if (errno !== 'EINTR') throw new LinuxError('sendmsg', errno === 'ECONNRESET' ? 'EPIPE' : errno)
    }
  }

  #wait(events: number, deadline: number, syscall: string): void {
    const left = deadline - performance.now()
    if (left <= 0 || pollOne(this.#fd, events, left) === 0) throw new LinuxError(syscall, 'ETIMEDOUT')
  }

  /** True if the peer has closed its end or died. Unread bytes may remain. Costs one system call. */
  peerHasClosed(): boolean {
    return pollOne(this.#fd, POLLRDHUP, 0) !== 0
  }

  /**
   * Ends the connection in such a way that the peer reads the end of the stream. After close() alone it gets ECONNRESET
   * if it had sent something that nobody has read. `dispose` gets the descriptors among that. Idempotent, never throws.
   */
  hangUp(dispose: (fd: number) => void = closeInBackground): void {
    if (this.#fd === -1) return
    tryShutdown(this.#fd)
    const fds: number[] = []
    while (receiveBytes(this.#fd, CHUNK, fds) > 0) fds.splice(0).forEach(dispose)
    this.close()
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd !== -1) close(this.#fd)
    this.#fd = -1
  }
}

/** A socket file that others connect to. */
export class UnixListener {
  /** For poll: readable when accept has something. */
  readonly fd: number
  readonly path: string
  readonly #inode: bigint
  #open = true

  private constructor(fd: number, path: string) {
    this.fd = fd
    this.path = path
    this.#inode = lstatSync(path, { bigint: true }).ino
  }

  /**
   * Creates the socket file, usable by its owner only (mode 0600), and listens. A socket file that nobody listens on
   * (its server was killed) is replaced. Throws IXY_ERR_DEVICE_IN_USE if somebody does listen, IXY_ERR_FILE if the path
   * is another kind of file, LinuxError otherwise (ENOENT: no such directory).
   */
  static listen(path: string, kind: UnixKind = 'stream'): UnixListener {
    const name = unixName(path)
    const fd = createUnixSocket(kind)
    try {
      // The file takes over the socket's mode, so there is no moment at which others could connect.
      fchmodSync(fd, 0o600)
      if (tryBind(fd, name) < 0) {
        const errno = lastErrno()
        if (errno !== 'EADDRINUSE') throw new LinuxError('bind', errno, path)
        removeStaleSocket(path, kind)
        check(tryBind(fd, name), 'bind', path)
      }
      check(tryListen(fd, 16), 'listen', path)
      return new UnixListener(fd, path)
    } catch (error) {
      close(fd)
      throw error
    }
  }

  /** The next connection; null if nobody is waiting. Throws LinuxError (EMFILE…). */
  accept(): UnixSocket | null {
    const fd = tryAccept(this.fd)
    if (fd >= 0) return new UnixSocket(fd)
    const errno = lastErrno()
    if (errno === 'EAGAIN' || errno === 'EINTR' || errno === 'ECONNABORTED') return null
    throw new LinuxError('accept', errno, this.path)
  }

  /** Stops listening and removes the socket file if it is still this listener's. Idempotent, never throws. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    try {
      if (lstatSync(this.path, { bigint: true }).ino === this.#inode) unlinkSync(this.path)
    } catch {
      // Someone else removed it, or the directory is gone.
    }
    close(this.fd)
  }
}

function removeStaleSocket(path: string, kind: UnixKind): void {
  if (!lstatSync(path).isSocket())
    throw new IxyError('IXY_ERR_FILE', `${path} exists and is not a socket`, 'choose another path')
  try {
    UnixSocket.connect(path, 0, kind).close()
  } catch (error) {
    if (isErrno(error, 'ECONNREFUSED')) return unlinkSync(path)
    if (isErrno(error, 'ENOENT')) return
    if (!isErrno(error, 'EAGAIN')) throw error
  }
  throw new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `another server listens at ${path}`,
    'stop it or choose another path',
  )
}
