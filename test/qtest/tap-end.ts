/**
 * A TAP interface with several queues as the far end of the wire, in a network namespace of its own: `-netdev stream` has one queue
 * only. Needs root.
 */
import { execFileSync } from 'node:child_process'
import { check, declare, type Pointer } from '../../src/linux/libc.ts'
import { close, O_RDONLY, open, setNonBlocking, tryRead, tryWrite } from '../../src/linux/file.ts'

const INTERFACE = 'tap0'

const AF_PACKET = 17
const SOCK_RAW = 3
const ETH_P_ALL_NETWORK_ORDER = 0x0300
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SOL_PACKET = 263
const PACKET_IGNORE_OUTGOING = 23
const CLONE_NEWNET = 0x4000_0000

const libcSocket = declare<(domain: number, type: number, protocol: number) => number>(
  'int socket(int domain, int type, int protocol)',
)
const libcBind = declare<(fd: number, address: Pointer, bytes: number) => number>(
  'int bind(int fd, const void *address, unsigned int bytes)',
)
const libcSetsockopt = declare<
  (fd: number, level: number, name: number, value: Pointer, bytes: number) => number
>('int setsockopt(int fd, int level, int name, const void *value, unsigned int bytes)')
const libcSetns = declare<(fd: number, type: number) => number>('int setns(int fd, int type)')
const libcIndex = declare<(name: string) => number>('unsigned int if_nametoindex(const char *name)')

let count = 0

export class TapEnd {
  readonly queues: number
  private readonly namespace = `ixy-qtest-${process.pid}-${count++}`
  private readonly socket: number
  private readonly buffer = Buffer.alloc(65_536)

  /** Nothing in the namespace speaks unasked. */
  constructor(queues: number) {
    this.queues = queues
    const ip = (...args: string[]): void => void execFileSync('ip', args)
    ip('netns', 'add', this.namespace)
    try {
      ip('-n', this.namespace, 'tuntap', 'add', 'dev', INTERFACE, 'mode', 'tap', 'multi_queue')
      const quiet = `echo 1 >/proc/sys/net/ipv6/conf/${INTERFACE}/disable_ipv6`
      ip('netns', 'exec', this.namespace, 'sh', '-c', quiet)
      ip('-n', this.namespace, 'link', 'set', INTERFACE, 'up')
      this.socket = this.within(openPacketSocket)
    } catch (error) {
      ip('netns', 'delete', this.namespace)
      throw error
    }
  }

  /** What a program is started with to be in the namespace. */
  get wrapper(): readonly string[] {
    return ['ip', 'netns', 'exec', this.namespace]
  }

  /** `-netdev` without its id. */
  get netdev(): string {
    return `tap,ifname=${INTERFACE},script=no,downscript=no,queues=${this.queues}`
  }

  send(frames: readonly Uint8Array[]): void {
    for (const frame of frames)
      if (tryWrite(this.socket, frame, frame.length) < 0) throw new Error('the TAP takes no more')
  }

  /** The frames that have come out since the last call. */
  frames(): Buffer[] {
    const frames: Buffer[] = []
    while (true) {
      const bytes = tryRead(this.socket, this.buffer, this.buffer.length)
      if (bytes < 0) return frames
      frames.push(Buffer.from(this.buffer.subarray(0, bytes)))
    }
  }

  close(): void {
    close(this.socket)
    execFileSync('ip', ['netns', 'delete', this.namespace])
  }

  /** This thread is in the namespace while `body` runs. */
  private within<T>(body: () => T): T {
    const home = open('/proc/thread-self/ns/net', O_RDONLY)
    const there = open(`/run/netns/${this.namespace}`, O_RDONLY)
    try {
      check(libcSetns(there, CLONE_NEWNET), 'setns')
      return body()
    } finally {
      check(libcSetns(home, CLONE_NEWNET), 'setns')
      close(there)
      close(home)
    }
  }
}

function openPacketSocket(): number {
  const fd = check(libcSocket(AF_PACKET, SOCK_RAW, 0), 'socket')
  check(libcSetsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Int32Array.of(1), 4), 'setsockopt')
  check(libcSetsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, Int32Array.of(32 << 20), 4), 'setsockopt')
  // struct sockaddr_ll
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16LE(ETH_P_ALL_NETWORK_ORDER, 2)
  address.writeInt32LE(libcIndex(INTERFACE), 4)
  check(libcBind(fd, address, address.length), 'bind')
  setNonBlocking(fd)
  return fd
}
