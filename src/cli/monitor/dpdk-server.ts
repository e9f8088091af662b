/**
 * DPDK's telemetry socket, so that dpdk-telemetry.py and exporters made for DPDK read ixy-ts: messages over AF_UNIX (SOCK_SEQPACKET),
 * which Node.js doesn't have. The socket is looked at now and then; no client is waited for.
 */
import path from 'node:path'
import { usageError } from '../../errors.ts'
import { ownDirectory } from '../../linux/runtime-dir.ts'
import { UnixListener, type UnixSocket } from '../../linux/unix-socket.ts'
import type { Collector } from './collector.ts'
import { DpdkCommands, introduction } from './dpdk-commands.ts'

/** Milliseconds between two looks: what an answer takes at most. */
const LOOK_EVERY = 20
const MOST_CLIENTS = 16
/** Requests of one client per look. */
const MOST_REQUESTS = 16
/** Bytes of a request: longer ones are cut, as by DPDK. */
const MOST_INPUT = 1024

export class DpdkServer {
  /** Of the socket. */
  readonly path: string
  private readonly listener: UnixListener
  private readonly collector: Collector
  private readonly commands = new DpdkCommands()
  private readonly clients = new Set<UnixSocket>()
  private readonly input = new Uint8Array(MOST_INPUT)
  private readonly looks: NodeJS.Timeout

  /** Listens where dpdk-telemetry.py looks with `-f <prefix>`. Throws an IxyError if that can't be, as when another process does. */
  constructor(collector: Collector, prefix: string) {
    const uid = process.getuid?.() ?? 0
    const directory = path.join(runtimeRoot(uid), 'dpdk', prefix)
    ownDirectory(directory, uid, "directory for DPDK's telemetry", 'give --dpdk-telemetry another prefix')
    this.path = path.join(directory, 'dpdk_telemetry.v2')
    this.listener = UnixListener.listen(this.path, 'seqpacket')
    this.collector = collector
    this.looks = setInterval(() => this.look(), LOOK_EVERY)
  }

  close(): void {
    clearInterval(this.looks)
    for (const client of this.clients) client.close()
    this.listener.close()
  }

  private look(): void {
    try {
      for (let client = this.listener.accept(); client !== null; client = this.listener.accept())
        this.welcome(client)
    } catch {
      // No descriptor is left for it: it waits.
    }
    for (const client of this.clients) if (!this.serve(client)) this.dismiss(client)
  }

  private welcome(client: UnixSocket): void {
    this.clients.add(client)
    if (this.clients.size > MOST_CLIENTS || !send(client, JSON.stringify(introduction())))
      this.dismiss(client)
  }

  private dismiss(client: UnixSocket): void {
    this.clients.delete(client)
    client.close()
  }

  /** Answers what it has asked. False if it has gone, or doesn't read. */
  private serve(client: UnixSocket): boolean {
    try {
      for (let i = 0; i < MOST_REQUESTS; i++) {
        const received = client.receive(this.input)
        if (received === null) return true
        if (received.bytes === 0) return false
        const request = Buffer.from(this.input.subarray(0, received.bytes)).toString()
        if (!send(client, this.commands.answer(this.collector.state, request.replace(/\0.*$/s, ''))))
          return false
      }
      return true
    } catch {
      return false
    }
  }
}

/** False if there is no room: whoever asks has to read. */
function send(client: UnixSocket, text: string): boolean {
  try {
    return client.sendSome(Buffer.from(text)) > 0
  } catch {
    return false
  }
}

/** As DPDK's EAL and dpdk-telemetry.py have it. */
function runtimeRoot(uid: number): string {
  const { RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = process.env
  if (RUNTIME_DIRECTORY !== undefined && RUNTIME_DIRECTORY !== '') return RUNTIME_DIRECTORY
  return uid === 0 ? '/var/run' : (XDG_RUNTIME_DIR ?? '/tmp')
}

/** Reads the prefix of --dpdk-telemetry. Throws IXY_ERR_USAGE. */
export function filePrefix(text: string): string {
  if (/^[\w-][\w.-]*$/.test(text)) return text
  throw usageError(
    `--dpdk-telemetry ${text} is not valid`,
    'give a name of letters, digits, -, _ and ., or put devices in front of it',
  )
}
