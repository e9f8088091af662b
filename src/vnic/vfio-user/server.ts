/** Serves a device on a UNIX socket: to one client at a time, each of which finds it as new. */
import { BackgroundClose } from '../../linux/background-close.ts'
import { isErrno } from '../../linux/libc.ts'
import { UnixListener, type UnixSocket } from '../../linux/unix-socket.ts'
import { takeAllSteps } from '../../undo.ts'
import { ServerConnection } from './connection.ts'
import { ClientSession, type SessionHost } from './client-session.ts'

/** Mappings a client may have if nobody says otherwise. */
export const MAX_MAPPINGS = 24576

/** How often the socket of a client that rings by memory is looked at while there is traffic, ms. */
const SOCKET_INTERVAL = 0.1
/** When it is looked at next if nothing was there at the end of a sleep, ms: the next sleep comes before, and sees what comes. */
const AFTER_SLEEP = 1
/** How often a client that doesn't read its replies is looked at, ms. */
const STUCK_INTERVAL = 2
/** How long nobody is accepted when the system has no descriptor or memory left for another connection, ms. */
const ACCEPT_PAUSE = 100
/** Milliseconds of giving back the memory of a client that has gone before others get their turn. */
const TURN = 1

export interface ServerOptions extends SessionHost {
  /** Called when a client has connected or gone. */
  readonly onClient: (connected: boolean) => void
}

export class Server {
  private readonly options: ServerOptions
  private readonly closer = new BackgroundClose()
  private listener: UnixListener | null = null
  private session: ClientSession | null = null
  /** What the last client's leaving has left to do. */
  private leaving: Iterator<void, void> | null = null
  /** The socket is not listened to until nextSocketLook: its client doesn't read, or the system has no room for one. */
  private deaf = false
  private nextSocketLook = 0
  /** Counts comings and goings of clients: fds() has changed when this has. */
  generation = 0

  constructor(options: ServerOptions) {
    this.options = options
  }

  get connected(): boolean {
    return this.session !== null
  }

  /** The device's doorbells must be looked at because no message tells of them. */
  get sharedDoorbells(): boolean {
    return this.session?.sharedDoorbells === true
  }

  /** Creates the socket file and listens. Throws IXY_ERR_DEVICE_IN_USE, IXY_ERR_FILE, LinuxError. */
  listen(path: string): void {
    this.listener = UnixListener.listen(path)
    this.generation++
  }

  /** Removes the socket file; whoever is connected stays. */
  stopListening(): void {
    this.listener?.close()
    this.listener = null
    this.generation++
  }

  /** Descriptors that wake a sleeping loop; others once `generation` has changed. */
  fds(): number[] {
    const own = this.session?.connection.socket.fd ?? this.listener?.fd
    return this.deaf || own === undefined ? [] : [own]
  }

  /** One turn. Returns 0 if there was nothing to do. `now`: milliseconds on the monotonic clock. */
  poll(now: number): number {
    const { session } = this
    if (this.leaving !== null) return this.leave()
    if (session === null && this.closer.pending > 0) return 0
    if ((this.deaf || session?.sharedDoorbells === true) && now < this.nextSocketLook) return 0
    if (session === null) return this.accept(now)
    const count = session.poll()
    const { stuck, closed } = session.connection
    this.nextSocketLook = now + (stuck ? STUCK_INTERVAL : SOCKET_INTERVAL)
    this.setDeaf(stuck)
    if (closed) this.disconnect()
    return count
  }

  /** When poll() has something to do by itself, ms on the clock of `now`; Infinity if never. */
  nextEvent(): number {
    return this.deaf ? this.nextSocketLook : Infinity
  }

  /** The next poll looks at the socket, unless it has just been seen that nothing is there. Call after sleeping. */
  wake(now: number, ready: boolean): void {
    if (!this.deaf) this.nextSocketLook = ready ? 0 : now + AFTER_SLEEP
  }

  private setDeaf(deaf: boolean): void {
    if (deaf === this.deaf) return
    this.deaf = deaf
    this.generation++
  }

  private accept(now: number): number {
    let socket: UnixSocket | null | undefined
    try {
      socket = this.listener?.accept()
    } catch (error) {
      if (!isErrno(error, 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM')) throw error
      this.nextSocketLook = now + ACCEPT_PAUSE
      this.setDeaf(true)
      return 0
    }
    this.setDeaf(false)
    if (socket === undefined || socket === null) return 0
    this.session = new ClientSession(new ServerConnection(socket, this.closer), this.options)
    this.generation++
    this.options.onClient(true)
    return 1
  }

  /** The device is as new at once; the client's memory goes bit by bit, and nobody is let in before that is done. */
  private disconnect(): void {
    const { session } = this
    if (session === null) return
    this.session = null
    this.deaf = false
    this.options.device.doorbells?.unshare()
    this.leaving = session.close()
    this.generation++
    this.leave()
    this.options.onClient(false)
  }

  private leave(): number {
    const { leaving } = this
    if (leaving === null) return 0
    const until = performance.now() + TURN
    this.leaving = null
    // A step that throws is the last one.
    while (leaving.next().done !== true) {
      if (performance.now() < until) continue
      this.leaving = leaving
      break
    }
    return 1
  }

  /** Ends the client's connection, and removes the socket file. */
  close(): void {
    takeAllSteps([
      () => this.disconnect(),
      () => {
        while (this.leaving !== null) this.leave()
      },
      () => this.stopListening(),
    ])
  }
}
