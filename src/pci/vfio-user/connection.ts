/** A connection to a vfio-user server: requests, one at a time or several of a kind at once, that are answered within a deadline. */
import { IxyError } from '../../errors.ts'
import { closeInBackground } from '../../linux/background-close.ts'
import { isErrno } from '../../linux/libc.ts'
import { pollOne, PollSet, POLLIN, POLLRDHUP } from '../../linux/poll.ts'
import { UnixSocket } from '../../linux/unix-socket.ts'
import {
  Command,
  commandName,
  decodeHeader,
  encodeHeader,
  type Header,
  HEADER_BYTES,
  MessageFlag,
} from './protocol.ts'

/** Milliseconds a server has to answer. */
export const DEADLINE = 5000
/** Milliseconds of them after which the user is told what is waited for. */
const SLOW = 500
/**
 * How much longer than it lets this thread do other things a server may let it wait, in deadlines: one that answers each of
 * hundreds of commands just in time would hold up everything for minutes.
 */
const PATIENCE = 2
/** Commands of the server that are answered while a reply is waited for. It has all memory mapped and needs none. */
const MAX_INTERJECTED = 64
const ENOTSUP = 95

export interface Reply {
  readonly payload: Uint8Array
  /** Descriptors that came along; the caller's to close. */
  readonly fds: readonly number[]
}

/** Is told what is being waited for. */
export type OnSlow = (message: string) => void

/** Nobody listens there. */
export function noServer(path: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_DEVICE_NOT_FOUND',
    `no vfio-user server listens at ${path}`,
    `start one: ixy-ts vnic ${path} --wire gen`,
    { cause },
  )
}

/** Somebody else's, who does not let this user in. */
export function notYourServer(path: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `the socket ${path} belongs to another user`,
    'run as the user who started the server',
    { cause },
  )
}

export class Connection {
  /** The device's name, for messages. */
  private readonly name: string
  private readonly socket: UnixSocket
  private readonly hangUp: PollSet
  private readonly deadline: number
  private readonly onSlow: OnSlow
  private nextId = 0
  /** Milliseconds that the server has let this thread wait, less those in between; and since when it doesn't. */
  private waited = 0
  private idleSince = performance.now()
  /** Why the connection can't be used any more. */
  private failure: IxyError | undefined

  private constructor(name: string, socket: UnixSocket, deadline: number, onSlow: OnSlow) {
    this.name = name
    this.socket = socket
    this.deadline = deadline
    this.onSlow = onSlow
    this.hangUp = new PollSet([socket.fd], POLLRDHUP)
  }

  /** Throws IXY_ERR_DEVICE_NOT_FOUND if no server listens at `path`, IXY_ERR_DEVICE_IN_USE if it takes nobody. */
  static open(path: string, name: string, deadline = DEADLINE, onSlow: OnSlow = () => undefined): Connection {
    try {
      return new Connection(name, UnixSocket.connect(path, deadline), deadline, onSlow)
    } catch (cause) {
      if (isErrno(cause, 'ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'EPROTOTYPE')) throw noServer(path, cause)
      if (isErrno(cause, 'EACCES', 'EPERM')) throw notYourServer(path, cause)
      if (isErrno(cause, 'EAGAIN'))
        throw new IxyError(
          'IXY_ERR_DEVICE_IN_USE',
          `the server at ${path} accepts no further client`,
          'end the program that uses it',
          { cause },
        )
      throw cause
    }
  }

  /**
   * Sends a command, waits for its reply (blocks the thread) and returns the payload. `fds` stay the caller's. Throws
   * IXY_ERR_DEVICE_GONE if the server has closed, doesn't answer or is too slow, IXY_ERR_PROTOCOL if it answers nonsense or
   * refuses. But for the last the connection is useless then, and every later call throws the same at once.
   */
  request(command: number, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): Uint8Array {
    const replies = this.exchange(command, [payload], fds)
    closeAll(replies)
    return replies[0].payload
  }

  /** As request, for replies that come with descriptors. */
  requestFiles(command: number, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): Reply {
    return this.exchange(command, [payload], fds)[0]
  }

  /**
   * As request, once for each of `payloads`. All are sent before the first reply is waited for: a server that sleeps wakes once, which
   * costs it more than a message does.
   */
  requestAll(command: number, payloads: readonly Uint8Array[]): Uint8Array[] {
    const replies = this.exchange(command, payloads, [])
    closeAll(replies)
    return replies.map(({ payload }) => payload)
  }

  private exchange(command: number, payloads: readonly Uint8Array[], fds: readonly number[]): Reply[] {
    if (this.failure !== undefined) throw this.failure
    const ids = payloads.map((_, i) => (this.nextId + i) & 0xffff)
    this.nextId = (this.nextId + ids.length) & 0xffff
    const messages = payloads.flatMap((payload, i) => {
      const size = HEADER_BYTES + payload.length
      return [encodeHeader({ id: ids[i], command, size, flags: MessageFlag.COMMAND, error: 0 }), payload]
    })
    const begin = performance.now()
    this.waited = Math.max(0, this.waited - (begin - this.idleSince))
    const replies: Reply[] = []
    let refusal: CommandRefused | null = null
    try {
      this.socket.send(messages, fds, this.deadline)
      const deadline = performance.now() + this.deadline
      this.tellIfSlow(command)
      for (const id of ids) {
        const { header: answer, ...reply } = this.receiveReply(deadline)
        replies.push(reply)
        if (answer.id !== id || answer.command !== command)
          throw new IxyError(
            'IXY_ERR_PROTOCOL',
            `${commandName(command)} was answered with ${commandName(answer.command)}, or out of turn`,
          )
        if ((answer.flags & MessageFlag.ERROR) !== 0)
          refusal ??= new CommandRefused(this.name, command, answer.error)
      }
      this.idleSince = performance.now()
      // Longer than the deadline only if this program was itself stopped meanwhile: a container that is paused, say.
      this.waited += Math.min(this.deadline, this.idleSince - begin)
      if (this.waited > PATIENCE * this.deadline) throw this.tooSlow()
      if (refusal !== null) throw refusal
      return replies
    } catch (error) {
      closeAll(replies)
      if (error instanceof CommandRefused) throw error
      this.failure = this.explain(error, command, performance.now() - begin)
      throw this.failure
    }
  }

  /** The thread is blocked while it waits: nobody else can tell why nothing happens, and a clean stop has to wait, too. */
  private tellIfSlow(command: number): void {
    const { name, socket, deadline, onSlow } = this
    if (pollOne(socket.fd, POLLIN, Math.min(SLOW, deadline)) !== 0) return
    onSlow(
      `${name}: its server hasn't answered ${commandName(command)} yet, waiting up to ${deadline / 1000} s; Ctrl-C twice ends at once`,
    )
  }

  /** What `decode` makes of something that the server has sent. Throws IXY_ERR_PROTOCOL with what to do. */
  decode<T>(decode: () => T): T {
    try {
      return decode()
    } catch (error) {
      throw this.explain(error, null)
    }
  }

  /** The next reply. Commands of the server in between are refused. */
  private receiveReply(deadline: number): Reply & { header: Header } {
    for (let interjected = 0; interjected <= MAX_INTERJECTED; interjected++) {
      const message = this.receiveMessage(deadline)
      const { id, command, flags } = message.header
      if ((flags & MessageFlag.TYPE_MASK) === MessageFlag.REPLY) return message
      message.fds.forEach(closeInBackground)
      if ((flags & MessageFlag.NO_REPLY) !== 0) continue
      const error = MessageFlag.REPLY | MessageFlag.ERROR
      const refusal = encodeHeader({ id, command, size: HEADER_BYTES, flags: error, error: ENOTSUP })
      this.socket.send(refusal, [], deadline - performance.now())
    }
    throw new IxyError('IXY_ERR_PROTOCOL', `more than ${MAX_INTERJECTED} commands of its own before a reply`)
  }

  /** Header first, then exactly the body: see unix-socket.ts. */
  private receiveMessage(deadline: number): Reply & { header: Header } {
    const bytes = new Uint8Array(HEADER_BYTES)
    const first = this.receiveExactly(bytes, deadline)
    try {
      const header = decodeHeader(bytes)
      const payload = new Uint8Array(header.size - HEADER_BYTES)
      const second = this.receiveExactly(payload, deadline)
      return { header, payload, fds: [...first, ...second] }
    } catch (error) {
      first.forEach(closeInBackground)
      throw error
    }
  }

  private receiveExactly(target: Uint8Array, deadline: number): readonly number[] {
    const { bytes, fds } = this.socket.receiveFully(target, deadline - performance.now())
    if (bytes === target.length) return fds
    fds.forEach(closeInBackground)
    throw this.gone()
  }

  private gone(): IxyError {
    return new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `the server of ${this.name} has closed the connection`,
      'see what it wrote before it ended, and start it again',
    )
  }

  private tooSlow(): IxyError {
    const seconds = Math.round(this.waited / 100) / 10
    return new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `the server of ${this.name} is too slow: this program has spent ${seconds} s waiting for its answers`,
      'give it more of the CPU, or start it again',
    )
  }

  /** `waited`: milliseconds; a wait ends sooner than at the deadline when the program is to end. */
  private explain(error: unknown, command: number | null, waited = this.deadline): IxyError {
    if (isErrno(error, 'EPIPE', 'ECONNRESET')) return this.gone()
    if (isErrno(error, 'ETIMEDOUT')) {
      const hint =
        command === Command.VERSION
          ? 'it may be serving another client: end that one'
          : 'it hangs: start it again'
      const seconds = Number((waited / 1000).toFixed(2))
      const since = seconds > 0 ? `within ${seconds} s` : 'before the run had to end'
      return new IxyError(
        'IXY_ERR_DEVICE_GONE',
        `the server of ${this.name} didn't answer ${commandName(command ?? 0)} ${since}`,
        hint,
        { cause: error },
      )
    }
    if (error instanceof IxyError && error.code === 'IXY_ERR_PROTOCOL')
      return new IxyError(
        'IXY_ERR_PROTOCOL',
        `the server of ${this.name} breaks the vfio-user protocol (${error.message})`,
        'start it again, or report it to its authors',
        { cause: error },
      )
    if (error instanceof IxyError) return error
    return new IxyError('IXY_ERR_INTERNAL', String(error), '', { cause: error })
  }

  /** For short messages without a reply, which any thread may write: a socket takes them whole or not at all, between those of this thread. */
  get fd(): number {
    return this.socket.fd
  }

  /** Throws if the server has closed or died. Costs one system call. */
  assertAlive(): void {
    if (this.failure === undefined && this.hangUp.wait(0) > 0) this.failure = this.gone()
    if (this.failure !== undefined) throw this.failure
  }

  close(): void {
    this.failure ??= new IxyError('IXY_ERR_INTERNAL', `${this.name} was closed`)
    this.socket.close()
  }
}

/** Descriptors that nobody has asked for. */
function closeAll(replies: readonly Reply[]): void {
  for (const { fds } of replies) fds.forEach(closeInBackground)
}

/** The server answered with an error; the connection lives. */
class CommandRefused extends IxyError {
  constructor(name: string, command: number, errno: number) {
    super(
      'IXY_ERR_PROTOCOL',
      `the server of ${name} refused ${commandName(command)} (errno ${errno})`,
      'see what it says about it',
    )
  }
}
