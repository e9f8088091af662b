/** A connection to a vhost-user back end: one request at a time. Blocks the thread; control plane only. */
import { IxyError } from '../../errors.ts'
import { closeInBackground } from '../../linux/background-close.ts'
import { isErrno } from '../../linux/libc.ts'
import { UnixSocket } from '../../linux/unix-socket.ts'
import {
  HEADER_BYTES,
  PROTOCOL_FEATURES,
  REPLY_ACK,
  type RequestName,
  decodeU64,
  encodeMessage,
  encodeU64,
  encodeVringState,
  verifyReply,
} from './protocol.ts'

/** Milliseconds that a back end has to answer. */
const DEADLINE = 5000

const NOTHING = new Uint8Array(0)

export class VhostBackend {
  /** The features of virtio that it offers, PROTOCOL_FEATURES among them: bits. */
  readonly features: bigint
  private readonly name: string
  private readonly socket: UnixSocket
  private readonly deadline: number
  /** It says whether it has done what was asked. */
  private acknowledges = false
  private failure: IxyError | null = null

  /** Throws IXY_ERR_DEVICE_NOT_FOUND if nobody listens at `path`, IXY_ERR_PROTOCOL, IXY_ERR_DEVICE_GONE. */
  constructor(path: string, name: string, deadline = DEADLINE) {
    this.name = name
    this.deadline = deadline
    this.socket = connect(path, deadline)
    try {
      this.features = this.ask('GET_FEATURES')
      this.tell('SET_OWNER')
      if (!this.hasProtocolFeatures) return
      const known = this.ask('GET_PROTOCOL_FEATURES') & REPLY_ACK
      this.tell('SET_PROTOCOL_FEATURES', encodeU64(known))
      this.acknowledges = known !== 0n
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Queues have to be enabled. */
  get hasProtocolFeatures(): boolean {
    return (this.features & PROTOCOL_FEATURES) !== 0n
  }

  /** `fds` stay the caller's. Throws IXY_ERR_DEVICE_GONE, or IXY_ERR_PROTOCOL if the back end says that it failed. */
  tell(name: RequestName, payload: Uint8Array = NOTHING, fds: readonly number[] = []): void {
    this.exchange(name, () => {
      this.socket.send(encodeMessage(name, payload, this.acknowledges), fds, this.deadline)
      if (!this.acknowledges) return
      const result = this.receive(name)
      if (result !== 0n) throw new IxyError('IXY_ERR_PROTOCOL', `it can't do ${name} (${result})`)
    })
  }

  /** Stops a queue, and returns once the back end has let go of it. */
  stopQueue(index: number): void {
    this.ask('GET_VRING_BASE', encodeVringState(index, 0))
  }

  /** Throws if the back end has gone. Costs a system call. */
  assertAlive(): void {
    if (this.failure === null && this.socket.peerHasClosed()) this.failure = this.gone()
    if (this.failure !== null) throw this.failure
  }

  close(): void {
    this.failure ??= new IxyError('IXY_ERR_INTERNAL', `${this.name} was closed`)
    this.socket.close()
  }

  private ask(name: RequestName, payload: Uint8Array = NOTHING): bigint {
    return this.exchange(name, () => {
      this.socket.send(encodeMessage(name, payload, false), [], this.deadline)
      return this.receive(name)
    })
  }

  /** The payload of a reply: all that there are have 8 bytes. */
  private receive(name: RequestName): bigint {
    const until = performance.now() + this.deadline
    const header = this.receiveExactly(HEADER_BYTES, until)
    verifyReply(header, name, 8)
    return decodeU64(this.receiveExactly(8, until))
  }

  private receiveExactly(count: number, until: number): Uint8Array {
    const target = new Uint8Array(count)
    const { bytes, fds } = this.socket.receiveFully(target, until - performance.now())
    // Nobody has asked for them.
    fds.forEach(closeInBackground)
    if (bytes < count) throw this.gone()
    return target
  }

  /** After a failure the connection is useless: every later call throws the same at once. */
  private exchange<T>(name: RequestName, talk: () => T): T {
    if (this.failure !== null) throw this.failure
    try {
      return talk()
    } catch (error) {
      this.failure = this.explain(error, name)
      throw this.failure
    }
  }

  private gone(): IxyError {
    return new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `the back end of ${this.name} has closed the connection`,
      'see what it wrote before it did, and start it again',
    )
  }

  private explain(error: unknown, name: RequestName): IxyError {
    if (isErrno(error, 'EPIPE', 'ECONNRESET')) return this.gone()
    if (isErrno(error, 'ETIMEDOUT'))
      return new IxyError(
        'IXY_ERR_DEVICE_GONE',
        `the back end of ${this.name} didn't answer ${name} within ${this.deadline / 1000} s`,
        'it may have another front end: end that one; or it hangs: start it again',
        { cause: error },
      )
    if (error instanceof IxyError && error.code === 'IXY_ERR_PROTOCOL')
      return new IxyError(
        'IXY_ERR_PROTOCOL',
        `the back end of ${this.name} breaks the vhost-user protocol (${error.message})`,
        'name the socket of a vhost-user back end; if it is one, report it to its authors',
        { cause: error },
      )
    return error instanceof IxyError
      ? error
      : new IxyError('IXY_ERR_INTERNAL', String(error), '', { cause: error })
  }
}

/** Nobody listens there. */
export function noBackend(path: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_DEVICE_NOT_FOUND',
    `no vhost-user back end listens at ${path}`,
    `start one, such as dpdk-testpmd --vdev net_vhost0,iface=${path}`,
    { cause },
  )
}

/** Somebody else's, who does not let this user in. */
export function notYourBackend(path: string, cause?: unknown): IxyError {
  return new IxyError(
    'IXY_ERR_PERMISSION',
    `the socket ${path} belongs to another user`,
    'run as the user who started the back end',
    { cause },
  )
}

function connect(path: string, deadline: number): UnixSocket {
  try {
    return UnixSocket.connect(path, deadline)
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'EPROTOTYPE')) throw noBackend(path, cause)
    if (isErrno(cause, 'EACCES', 'EPERM')) throw notYourBackend(path, cause)
    throw cause
  }
}
