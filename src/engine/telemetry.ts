/**
 * Counters of a running ixy-ts for other processes: `ixy-ts stats`, monitoring.
 *
 * Every run listens on `<directory>/<pid>.sock`. A client gets one line of JSON when it connects (Hello), and one
 * line (Sample) for every line it sends. Totals only: each client makes its own intervals, so none disturbs another.
 */
import { readdirSync, rmSync } from 'node:fs'
import { type Server, type Socket, createServer, connect } from 'node:net'
import path from 'node:path'
import type { DeviceCounters, DeviceInfo } from './types.ts'

export interface Hello {
  readonly pid: number
  /** `forward`, `pktgen`, `vnic` */
  readonly command: string
  readonly version: string
  readonly devices: readonly DeviceInfo[]
}

export interface Sample {
  /** Seconds on the monotonic clock of the sender: only differences mean something. */
  readonly time: number
  /** Totals since its start. */
  readonly devices: readonly DeviceCounters[]
}

export interface TelemetryServer {
  /** Stops serving and removes the socket. Idempotent. */
  close(): void
}

/** Serves `sample` until close(). `directory` must exist. What processes that were killed have left there is removed. */
export async function serveTelemetry(
  directory: string,
  hello: Omit<Hello, 'pid'>,
  sample: () => readonly DeviceCounters[],
): Promise<TelemetryServer> {
  const file = path.join(directory, `${process.pid}.sock`)
  const clients = new Set<Socket>()
  const server: Server = createServer((client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    // A client that goes away in the middle of a line is its own business.
    client.on('error', () => client.destroy())
    client.write(`${JSON.stringify({ pid: process.pid, ...hello } satisfies Hello)}\n`)
    onLine(client, () => {
      client.write(
        `${JSON.stringify({ time: performance.now() / 1000, devices: sample() } satisfies Sample)}\n`,
      )
    })
  })
  for (const pid of pidsIn(directory)) {
    if (pid === process.pid || !exists(pid)) rmSync(path.join(directory, `${pid}.sock`), { force: true })
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(file, resolve)
  })
  // Telemetry alone keeps no process alive.
  server.unref()
  return {
    close() {
      // Closing the server unlinks the socket.
      server.close()
      for (const client of clients) client.destroy()
    },
  }
}

/** The connection to one running ixy-ts. */
export class TelemetryClient {
  readonly hello: Hello
  private readonly lines: LineReader

  constructor(hello: Hello, lines: LineReader) {
    this.hello = hello
    this.lines = lines
  }

  /** Its totals now; null once it has ended or doesn't answer within `timeout` milliseconds. */
  async sample(timeout = 1000): Promise<Sample | null> {
    this.lines.socket.write('\n')
    const line = await this.lines.next(timeout)
    return line === null ? null : (JSON.parse(line) as Sample)
  }

  close(): void {
    this.lines.socket.destroy()
  }
}

/**
 * Connects to every ixy-ts that serves in `directory`, except those whose pid is in `known`. Removes the sockets of
 * processes that have died. A directory that doesn't exist is an empty one.
 */
export async function findTelemetry(
  directory: string,
  known: ReadonlySet<number> = new Set(),
): Promise<TelemetryClient[]> {
  const pids = pidsIn(directory).filter((pid) => !known.has(pid))
  const clients = await Promise.all(pids.map((pid) => connectTo(path.join(directory, `${pid}.sock`))))
  return clients.filter((client) => client !== null)
}

/** Of all that have a socket there, dead or alive. */
function pidsIn(directory: string): number[] {
  try {
    return readdirSync(directory)
      .map((file) => Number(/^(\d+)\.sock$/.exec(file)?.[1]))
      .filter((pid) => !Number.isNaN(pid))
  } catch {
    return []
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there, but somebody else's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

async function connectTo(file: string): Promise<TelemetryClient | null> {
  const socket = connect(file)
  const failure = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    socket.once('connect', () => resolve(null))
    socket.once('error', resolve)
  })
  if (failure !== null) {
    // Nobody listens: its process was killed. (Another user's socket gives EACCES and stays.)
    if (failure.code === 'ECONNREFUSED') rmSync(file, { force: true })
    return null
  }
  const lines = new LineReader(socket)
  const line = await lines.next(1000)
  if (line === null) {
    socket.destroy()
    return null
  }
  return new TelemetryClient(JSON.parse(line) as Hello, lines)
}

/** Lines from a socket, one at a time, each with a deadline. */
class LineReader {
  readonly socket: Socket
  private readonly ready: string[] = []
  private waiting: ((line: string | null) => void) | null = null
  private open = true

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.open = false
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
    if (!this.open) return Promise.resolve(null)
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
function onLine(socket: Socket, use: (line: string) => void): void {
  let rest = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE) socket.destroy()
    for (const line of lines) use(line)
  })
}
