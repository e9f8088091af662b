/** The lines of the telemetry protocol. */
import type { Socket } from 'node:net'

/** Lines from a socket, one at a time, each with a deadline. */
export class LineReader {
  readonly socket: Socket
  private readonly ready: string[] = []
  private waiting: ((line: string | null) => void) | null = null
  closed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.closed = true
      this.waiting?.(null)
    })
    onLine(socket, (line) => {
      if (this.waiting === null) this.ready.push(line)
      else this.waiting(line)
    })
  }

  /** The next line, null if none comes within `timeout` milliseconds or the socket has closed. */
  next(timeout: number): Promise<string | null> {
    const line = this.ready.shift()
    if (line !== undefined) return Promise.resolve(line)
    if (this.closed) return Promise.resolve(null)
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.waiting?.(null), timeout)
      this.waiting = (value) => {
        clearTimeout(timer)
        this.waiting = null
        resolve(value)
      }
    })
  }
}

/** A peer that sends this much without a line break is none of ours, characters. */
const LONGEST_LINE = 1 << 20

/** Calls `use` with each line. (A readline interface would need an error handler of its own.) */
export function onLine(socket: Socket, use: (line: string) => void): void {
  let rest = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE) socket.destroy()
    for (const line of lines) use(line)
  })
}
