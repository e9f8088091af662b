/**
 * The HTTP server of `stats --listen`: /metrics, /stats.json, /events and a page.
 *
 * It shows what the collector has found last and asks no run anything, so clients can't disturb one. What they can take of this
 * process is bounded: connections, bytes and time of a request, bytes that wait for one that doesn't read. Each connection serves
 * one request; bodies are made once per interval, whoever asks.
 */
import { readFileSync } from 'node:fs'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { IxyError } from '../../errors.ts'
import type { Collector } from './collector.ts'
import { CONTENT_TYPES, exposition, formatFor } from './exposition.ts'
import type { ListenAddress } from './listen-address.ts'
import type { MonitorState } from './state.ts'

/** Connections at once; more are closed at once. */
const MOST_CONNECTIONS = 128
/** Of these, such that follow /events. */
const MOST_FOLLOWERS = 64
/** Bytes of a request's headers. */
const MOST_HEADERS = 8 * 1024
/** Milliseconds for the headers of a request, and how often that is looked at. */
const HEADERS_BY = 5_000
const LOOK_EVERY = 1_000
/** Milliseconds in which a connection may be silent in both directions; events are sent more often, but for long intervals. */
const SILENCE = 30_000
/** Bytes that may wait for a follower that doesn't read. */
const MOST_UNREAD = 1 << 20
/** Milliseconds after which a browser that has lost /events comes again. */
const RETRY = 2_000
/** Milliseconds between two comments on /events, so that connections are kept and dead ones noticed. */
const KEEP_ALIVE = 15_000

/** Nothing but what this server gives: no scripts of others, no frames. */
const POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

interface Body {
  readonly type: string
  readonly bytes: Buffer
}

export class MonitorServer {
  private readonly server: Server
  private readonly collector: Collector
  private readonly page: string | null
  private readonly loopback: boolean
  private readonly followers = new Set<ServerResponse>()
  /** Of the state that they were made of. */
  private bodies: { readonly state: MonitorState; readonly made: Map<string, Body> }
  private readonly unsubscribe: () => void
  private readonly keepAlive: NodeJS.Timeout

  /** `page`: path of the page at /, null: there is none, and a list of what else there is stands for it. */
  private constructor(collector: Collector, page: string | null, loopback: boolean) {
    this.collector = collector
    this.page = page
    this.loopback = loopback
    this.bodies = { state: collector.state, made: new Map() }
    const server = createServer(
      {
        maxHeaderSize: MOST_HEADERS,
        headersTimeout: HEADERS_BY,
        requestTimeout: HEADERS_BY,
        connectionsCheckingInterval: LOOK_EVERY,
      },
      (request, response) => this.answer(request, response),
    )
    server.maxConnections = MOST_CONNECTIONS
    server.maxRequestsPerSocket = 1
    server.setTimeout(SILENCE)
    // Who sends a second request without waiting for the first answer isn't owed either.
    server.on('dropRequest', (_, socket) => socket.destroy())
    this.server = server
    this.unsubscribe = collector.subscribe((state) => this.tell(state))
    this.keepAlive = setInterval(() => this.send(':\n\n'), KEEP_ALIVE)
  }

  /** Throws an IxyError if it can't listen there. */
  static async listen(
    { host, port, text }: ListenAddress,
    collector: Collector,
    page: string | null,
  ): Promise<MonitorServer> {
    const monitor = new MonitorServer(collector, page, isLoopback(host))
    try {
      await new Promise<void>((resolve, reject) => {
        monitor.server.once('error', reject)
        monitor.server.listen(port, host, resolve)
      })
    } catch (cause) {
      monitor.close()
      throw listenFailure(text, cause as NodeJS.ErrnoException)
    }
    // No descriptor is left for another connection: those that are there go on.
    monitor.server.on('error', () => undefined)
    return monitor
  }

  /** `http://127.0.0.1:9977/` */
  get url(): string {
    const { address, port, family } = this.server.address() as AddressInfo
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`
  }

  close(): void {
    clearInterval(this.keepAlive)
    this.unsubscribe()
    this.server.close()
    this.server.closeAllConnections()
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    // A client that goes away in the middle is its own business.
    response.on('error', () => response.destroy())
    request.resume()
    const path = (request.url ?? '/').replace(/[?#].*$/s, '')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return refuse(response, 405, 'only GET and HEAD')
    }
    // A page of others that calls itself by a name that leads here (DNS rebinding) is not to read this.
    if (this.loopback && !isLocalName(request.headers.host))
      return refuse(response, 403, 'ask for localhost, 127.0.0.1 or [::1]')
    if (path === '/events') return this.follow(request, response)
    const body = this.bodyOf(path, request.headers.accept)
    if (body === null) return refuse(response, 404, 'there are /, /metrics, /stats.json and /events')
    finish(response, 200, body)
  }

  /** What stands at `path`, made once per state. null: nothing. */
  private bodyOf(path: string, accept: string | undefined): Body | null {
    const { state } = this.collector
    if (this.bodies.state !== state) this.bodies = { state, made: new Map() }
    const { made } = this.bodies
    const once = (key: string, type: string, make: () => string): Body => {
      const body = made.get(key) ?? { type, bytes: Buffer.from(make()) }
      made.set(key, body)
      return body
    }
    switch (path) {
      case '/':
        return once('/', this.page === null ? TEXT : 'text/html; charset=utf-8', () => this.front())
      case '/metrics': {
        const format = formatFor(accept)
        return once(format, CONTENT_TYPES[format], () => exposition(state, format))
      }
      case '/stats.json':
        return once('/stats.json', 'application/json', () => JSON.stringify(this.collector.stateWithHistory))
      default:
        return null
    }
  }

  private front(): string {
    if (this.page !== null) return readFileSync(this.page, 'utf8')
    return 'ixy-ts stats\n\n/metrics     for Prometheus\n/stats.json  the same as JSON\n/events      the same, again and again (server-sent events)\n'
  }

  private follow(request: IncomingMessage, response: ServerResponse): void {
    if (this.followers.size >= MOST_FOLLOWERS) {
      response.setHeader('Retry-After', '30')
      return refuse(response, 503, `${MOST_FOLLOWERS} others follow already`)
    }
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' })
    if (request.method === 'HEAD') {
      response.end()
      return
    }
    this.followers.add(response)
    response.on('close', () => this.followers.delete(response))
    response.write(`retry: ${RETRY}\n\n${eventOf(this.collector.state)}`)
  }

  private tell(state: MonitorState): void {
    if (this.followers.size > 0) this.send(eventOf(state))
  }

  private send(text: string): void {
    const bytes = Buffer.from(text)
    for (const follower of this.followers) {
      // One that doesn't read is not waited for: a browser comes again.
      if (follower.writableLength > MOST_UNREAD) follower.destroy()
      else follower.write(bytes)
    }
  }
}

const TEXT = 'text/plain; charset=utf-8'
const HEADERS = {
  Connection: 'close',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
} as const

function eventOf(state: MonitorState): string {
  return `data: ${JSON.stringify(state)}\n\n`
}

function finish(response: ServerResponse, status: number, { type, bytes }: Body): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': type, 'Content-Length': bytes.length })
  response.end(response.req.method === 'HEAD' ? undefined : bytes)
}

function refuse(response: ServerResponse, status: number, why: string): void {
  finish(response, status, { type: TEXT, bytes: Buffer.from(`${why}\n`) })
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}

/** `host`: of the request, with its port. */
function isLocalName(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase()
  const bare = name.replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name === 'localhost.' || (isIP(bare) !== 0 && isLoopback(bare))
}

function listenFailure(text: string, cause: NodeJS.ErrnoException): IxyError {
  const what = `--listen ${text}: can't listen there`
  switch (cause.code) {
    case 'EADDRINUSE':
      return new IxyError(
        'IXY_ERR_SYSTEM',
        `${what}, the port is taken`,
        'choose another, or 0 for one that is free',
        { cause },
      )
    case 'EACCES':
      return new IxyError('IXY_ERR_PERMISSION', `${what}, not permitted`, 'choose a port from 1024 on', {
        cause,
      })
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new IxyError(
        'IXY_ERR_SYSTEM',
        `${what}, the address is none of this machine's`,
        'give one of ip address, or 0.0.0.0 for all',
        { cause },
      )
    default:
      return new IxyError('IXY_ERR_SYSTEM', `${what}: ${cause.message}`, '', { cause })
  }
}
