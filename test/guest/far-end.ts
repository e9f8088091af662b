/**
 * The far end of the cable: sends and collects raw frames on a network interface of the namespace it is started in.
 * A process of its own, because a namespace belongs to a process; the harness talks to it over Node's IPC channel.
 */
import koffi from 'koffi'

export type FarEndRequest =
  | { readonly type: 'send'; readonly frames: readonly string[] }
  /** Answered with the frames received since the last collect, in hexadecimal. */
  | { readonly type: 'collect' }

const AF_PACKET = 17
const SOCK_RAW_NONBLOCK = 3 | 0o4000
const ETH_P_ALL_NETWORK_ORDER = 0x0300
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const SOL_PACKET = 263
const PACKET_IGNORE_OUTGOING = 23

const libc = koffi.load('libc.so.6')
const socket = libc.func('int socket(int, int, int)')
const bind = libc.func('int bind(int, void *, int)')
const setsockopt = libc.func('int setsockopt(int, int, int, void *, int)')
const send = libc.func('long send(int, void *, size_t, int)')
const recv = libc.func('long recv(int, void *, size_t, int)')
const ifNameToIndex = libc.func('unsigned int if_nametoindex(const char *)')

function check(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`)
  return result
}

function openPacketSocket(interfaceName: string): number {
  const index: number = ifNameToIndex(interfaceName)
  if (index === 0) throw new Error(`no interface ${interfaceName}`)
  const fd = check('socket', socket(AF_PACKET, SOCK_RAW_NONBLOCK, 0))
  check('setsockopt', setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Buffer.from([1, 0, 0, 0]), 4))
  // The default holds about 100 frames: less than what may come while this process works for the harness.
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(32 << 20)
  check('setsockopt', setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes, 4))
  const address = Buffer.alloc(20) // struct sockaddr_ll
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16LE(ETH_P_ALL_NETWORK_ORDER, 2)
  address.writeInt32LE(index, 4)
  check('bind', bind(fd, address, address.length))
  return fd
}

function main(): void {
  const fd = openPacketSocket(process.argv[2] ?? '')
  const buffer = Buffer.alloc(16384)
  let frames: string[] = []
  const drain = (): void => {
    for (;;) {
      const length: number = recv(fd, buffer, buffer.length, 0)
      if (length < 0) return
      frames.push(buffer.toString('hex', 0, length))
    }
  }
  setInterval(drain, 5)
  process.on('message', (request: FarEndRequest) => {
    if (request.type === 'send') {
      for (const frame of request.frames) {
        const bytes = Buffer.from(frame, 'hex')
        check('send', send(fd, bytes, bytes.length, 0))
      }
      process.send?.([])
    } else {
      drain()
      process.send?.(frames)
      frames = []
    }
  })
  process.once('disconnect', () => process.exit(0))
}

main()
