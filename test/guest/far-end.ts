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
const PACKET_AUXDATA = 8
const PACKET_IGNORE_OUTGOING = 23
const TP_STATUS_VLAN_VALID = 1 << 4
/** Where fields of struct tpacket_auxdata lie, behind a struct cmsghdr. */
const AUX = { status: 16, tci: 32, tpid: 34 }

const libc = koffi.load('libc.so.6')
const socket = libc.func('int socket(int, int, int)')
const bind = libc.func('int bind(int, void *, int)')
const setsockopt = libc.func('int setsockopt(int, int, int, void *, int)')
const send = libc.func('long send(int, void *, size_t, int)')
koffi.struct('iovec', { base: 'void *', length: 'size_t' })
koffi.struct('msghdr', {
  ...{ name: 'void *', nameLength: 'uint32_t', parts: 'iovec *', count: 'size_t' },
  ...{ control: 'void *', controlLength: 'size_t', flags: 'int' },
})
const recvmsg = libc.func('long recvmsg(int, msghdr *, int)')
const ifNameToIndex = libc.func('unsigned int if_nametoindex(const char *)')

function check(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`)
  return result
}

const hex16 = (value: number): string => value.toString(16).padStart(4, '0')

function openPacketSocket(interfaceName: string): number {
  const index: number = ifNameToIndex(interfaceName)
  if (index === 0) throw new Error(`no interface ${interfaceName}`)
  const fd = check('socket', socket(AF_PACKET, SOCK_RAW_NONBLOCK, 0))
  check('setsockopt', setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, Buffer.from([1, 0, 0, 0]), 4))
  check('setsockopt', setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, Buffer.from([1, 0, 0, 0]), 4))
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
  const control = Buffer.alloc(64)
  const message = {
    ...{ name: null, nameLength: 0, parts: [{ base: buffer, length: buffer.length }], count: 1 },
    ...{ control, controlLength: control.length, flags: 0 },
  }
  let frames: string[] = []
  const drain = (): void => {
    for (;;) {
      control.fill(0)
      const length: number = recvmsg(fd, message, 0)
      if (length < 0) return
      // Of every received frame the kernel takes the VLAN tag off and lays it beside.
      const tag =
        (control.readUInt32LE(AUX.status) & TP_STATUS_VLAN_VALID) === 0
          ? ''
          : hex16(control.readUInt16LE(AUX.tpid)) + hex16(control.readUInt16LE(AUX.tci))
      frames.push(buffer.toString('hex', 0, 12) + tag + buffer.toString('hex', 12, length))
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
