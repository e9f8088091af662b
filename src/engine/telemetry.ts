/**
 * Counters of a running ixy-ts for other processes: `ixy-ts stats`, monitoring.
 *
 * Every run listens on a socket of its own, `<directory>/<pid>-<random>.sock`. A client gets one line of JSON when it
 * connects (Hello), and one line (Sample) for every line it sends. Totals only: each client makes its own intervals, so
 * none disturbs another.
 *
 * Whether the owner of a socket lives is asked of the socket. Its pid tells nothing: a container that shares the directory
 * counts its processes for itself.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { type Server, type Socket, createServer, connect } from 'node:net'
import path from 'node:path'
import { asIxyError } from '../errors.ts'
import { isStopped } from '../linux/process-state.ts'
import { runtimeDirectory } from '../linux/runtime-dir.ts'
import { LineReader, onLine } from './telemetry-lines.ts'
import type { DeviceInfo, Sample } from './types.ts'

export interface Hello {
  readonly pid: number
  /** When its packets began to flow, RFC 3339 with milliseconds; an older version doesn't tell. */
  readonly startedAt?: string
  /** `vnic`, or the name of the app */
  readonly command: string
  readonly version: string
  readonly devices: readonly DeviceInfo[]
}

type Introduction = Omit<Hello, 'pid' | 'startedAt'>

export interface TelemetryServer {
  /** Stops serving and removes the socket. Idempotent. */
  close(): void
}

/** Bytes of answers that may wait for a client. */
const MOST_UNREAD = 1 << 22
/** Milliseconds for an answer. */
const ANSWER = 1000
/** Milliseconds after which a process that hasn't answered is looked at: one that is stopped isn't waited for. */
const DOUBT = 100
/** Milliseconds that a new socket may exist before its owner listens. */
const YOUTH = 1000

/**
 * Serves `sample` in the runtime directory until close(). Never rejects: a run does without, and `warn` is told why.
 */
export async function offerTelemetry(
  hello: Introduction,
  sample: () => Sample,
  warn: (message: string) => void,
): Promise<TelemetryServer> {
  try {
    return await serveTelemetry(runtimeDirectory(), hello, sample)
  } catch (error) {
    warn(`ixy-ts stats can't show this run: ${asIxyError(error).message}`)
    return { close: () => undefined }
  }
}

/** Serves `sample` until close(). `directory` must exist. What processes that were killed have left there is removed. */
export async function serveTelemetry(
  directory: string,
  hello: Introduction,
  sample: () => Sample,
): Promise<TelemetryServer> {
  // Containers that share the directory have the same pids. node:crypto would take 4 ms to load.
  const chance = Math.trunc(Math.random() * 2 ** 32).toString(16)
  const file = path.join(directory, `${process.pid}-${chance.padStart(8, '0')}.sock`)
  const clients = new Set<Socket>()
  const startedAt = new Date().toISOString()
  const server: Server = createServer((client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    // A client that goes away in the middle of a line is its own business.
    client.on('error', () => client.destroy())
    client.write(`${JSON.stringify({ pid: process.pid, startedAt, ...hello } satisfies Hello)}\n`)
    onLine(client, () => {
      // One that asks on and on without reading takes up memory of the run's.
      if (client.writableLength > MOST_UNREAD) client.destroy()
      else answer(client, sample)
    })
  })
  await Promise.all(socketsIn(directory).map(removeIfDead))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(file, resolve)
  })
  // A client that can't be accepted (no descriptor is left) gets no answer; the run goes on.
  server.on('error', () => undefined)
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

function answer(client: Socket, sample: () => Sample): void {
  try {
    client.write(`${JSON.stringify(sample())}\n`)
  } catch {
    // A device has gone: the run is about to end, and says why itself.
    client.destroy()
  }
}

/** The connection to one running ixy-ts. */
export class TelemetryClient {
  /** Path of its socket. */
  readonly file: string
  private readonly lines: LineReader | null
  private greeting: Hello | null = null
  private asked = false
  private silent = false

  /** `socket` is null for a process that takes no connections. */
  constructor(file: string, socket: Socket | null) {
    this.file = file
    this.lines = socket === null ? null : new LineReader(socket)
  }

  /** Null until it has introduced itself: one that is stopped doesn't. */
  get hello(): Hello | null {
    return this.greeting
  }

  /** As the name of its socket says; that of another pid namespace, if it lives in one. */
  get pid(): number {
    return this.greeting?.pid ?? Number.parseInt(path.basename(this.file), 10)
  }

  /** It has closed the connection, so it has ended. */
  get ended(): boolean {
    return this.lines?.closed ?? false
  }

  /** Why nothing comes from it; null if it has answered, or ended. */
  get silence(): 'stopped' | 'hangs' | null {
    if (!this.silent || this.ended) return null
    return isStopped(this.pid) ? 'stopped' : 'hangs'
  }

  /** Waits for its introduction; hello and silence tell what came of it. */
  async greet(): Promise<void> {
    this.greeting = this.understood(await this.next(), isHello)
  }

  /**
   * Its totals; null once it has ended, or while it doesn't answer. What a silent one says when it goes on is the answer to
   * a later call, which doesn't wait.
   */
  async sample(): Promise<Sample | null> {
    if (!this.asked) this.lines?.socket.write('\n')
    this.asked = true
    const line = await this.next()
    if (line !== null) this.asked = false
    return this.understood(line, isSample)
  }

  /** Null for what isn't of the kind: whoever speaks another language hasn't answered. */
  private understood<T>(line: string | null, isOfTheKind: (value: unknown) => value is T): T | null {
    try {
      const value: unknown = line === null ? null : JSON.parse(line)
      if (isOfTheKind(value)) return value
    } catch {
      // Not JSON.
    }
    this.silent = true
    return null
  }

  close(): void {
    this.lines?.socket.destroy()
  }

  private async next(): Promise<string | null> {
    const lines = this.lines
    let line = (await lines?.next(this.silent ? 0 : DOUBT)) ?? null
    if (lines !== null && line === null && !this.silent && !isStopped(this.pid))
      line = await lines.next(ANSWER - DOUBT)
    this.silent = line === null
    return line
  }
}

function isHello(value: unknown): value is Hello {
  return hasDevices(value) && typeof (value as Partial<Hello>).pid === 'number'
}

function isSample(value: unknown): value is Sample {
  return hasDevices(value) && typeof (value as Partial<Sample>).time === 'number'
}

/** What every ixy-ts has said so far. Another version may say more, or a stranger anything. */
function hasDevices(value: unknown): boolean {
  const devices = (value as { devices?: unknown } | null)?.devices
  return (
    Array.isArray(devices) &&
    devices.every((one: { device?: unknown } | null) => typeof one?.device === 'string')
  )
}

/**
 * Connects to every ixy-ts that has a socket in `directory`, except those whose socket is in `known`. Sockets of processes
 * that have died are removed. A directory that doesn't exist is an empty one.
 */
export async function findTelemetry(
  directory: string,
  known: ReadonlySet<string> = new Set(),
): Promise<TelemetryClient[]> {
  const files = socketsIn(directory).filter((file) => !known.has(file))
  const clients = await Promise.all(
    files.map(async (file) => {
      const socket = await reach(file)
      if (socket === 'nobody') return []
      const client = new TelemetryClient(file, socket === 'full' ? null : socket)
      await client.greet()
      return client.ended ? [] : [client]
    }),
  )
  return clients.flat()
}

/** Paths of the sockets there, of the dead and the living. */
function socketsIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => /^\d+(-[0-9a-f]+)?\.sock$/.test(name))
    return names.map((name) => path.join(directory, name))
  } catch {
    return []
  }
}

async function removeIfDead(file: string): Promise<void> {
  const socket = await reach(file)
  if (typeof socket !== 'string') socket.destroy()
}

/**
 * A connection; `full` if more wait for one than the system allows, so its owner hasn't taken any for long; `nobody` if
 * its owner has died (the socket is removed) or it is somebody else's.
 */
async function reach(file: string): Promise<Socket | 'full' | 'nobody'> {
  const socket = connect(file)
  const failure = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    socket.once('connect', () => resolve(null))
    socket.once('error', resolve)
  })
  if (failure === null) return socket
  if (failure.code === 'EAGAIN') return 'full'
  if (failure.code === 'ECONNREFUSED' && ageOf(file) > YOUTH) rmSync(file, { force: true })
  return 'nobody'
}

/** Milliseconds since the file was made. */
function ageOf(file: string): number {
  try {
    return Date.now() - lstatSync(file).ctimeMs
  } catch {
    return 0
  }
}
