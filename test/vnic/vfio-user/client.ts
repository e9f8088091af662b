/** A vfio-user client for tests, which says exactly what it is told to, and the NIC it talks to in the same thread. */
import { close, createSealedMemfd } from '../../../src/linux/file.ts'
import { mmap, munmap, viewOf } from '../../../src/linux/mapping.ts'
import { UnixSocket } from '../../../src/linux/unix-socket.ts'
import {
  Command,
  decodeHeader,
  decodeRegionAccess,
  encodeDmaMap,
  encodeHeader,
  encodeRegionAccess,
  encodeVersion,
  type Header,
  HEADER_BYTES,
  MessageFlag,
} from '../../../src/pci/vfio-user/protocol.ts'
import { VirtualNic, type VirtualNicOptions } from '../../../src/vnic/nic.ts'
import { MAC, TestWire } from '../model/host.ts'

export interface Answer {
  readonly header: Header
  readonly payload: Uint8Array
  readonly fds: number[]
}

let sockets = 0
/** The clock of every NIC in this file, ms. */
let now = 0

/** A listening NIC, its wire, and the path of its socket. */
export function startNic(options: Partial<VirtualNicOptions> = {}): {
  nic: VirtualNic
  wire: TestWire
  path: string
} {
  const wire = new TestWire()
  const nic = new VirtualNic({ name: 'test', mac: MAC, wire, strict: true, ...options })
  const path = `/tmp/ixy-ts-test-${process.pid}-${sockets++}.sock`
  nic.listen(path)
  return { nic, wire, path }
}

/** What a client's server does in its turns. */
type Turning = Pick<VirtualNic, 'wake' | 'poll'>

export class TestClient {
  readonly socket: UnixSocket
  private readonly nic: Turning
  private nextId = 0
  private readonly undo: (() => void)[] = []

  constructor(nic: Turning, path: string) {
    this.nic = nic
    this.socket = UnixSocket.connect(path)
  }

  /** Lets the NIC run. */
  turn(times = 3): void {
    for (let i = 0; i < times; i++) {
      this.nic.wake(now, true)
      this.nic.poll((now += 1))
    }
  }

  sendRaw(bytes: Uint8Array, fds: readonly number[] = []): void {
    this.socket.send(bytes, fds)
  }

  /** The header of a command whose payload has `bytes` bytes. */
  header(command: number, bytes: number, flags = 0): Uint8Array {
    const id = (this.nextId = (this.nextId + 1) & 0xffff)
    return encodeHeader({ id, command, size: HEADER_BYTES + bytes, flags, error: 0 })
  }

  /** Sends a command without waiting for anything. */
  post(command: number, payload: Uint8Array, fds: readonly number[] = [], flags = 0): number {
    const header = this.header(command, payload.length, flags)
    this.socket.send([header, payload], fds)
    return this.nextId
  }

  /** The next reply, or null if there is none. */
  answer(): Answer | null {
    this.turn()
    const bytes = new Uint8Array(HEADER_BYTES)
    const first = this.socket.receive(bytes)
    if (first === null || first.bytes === 0) return null
    const header = decodeHeader(bytes)
    const payload = new Uint8Array(header.size - HEADER_BYTES)
    const fds = [...first.fds]
    if (payload.length > 0) fds.push(...this.socket.receiveFully(payload, 1000).fds)
    return { header, payload, fds }
  }

  /** A command and its reply, which must be there. */
  request(command: number, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): Answer {
    const id = this.post(command, payload, fds)
    const answer = this.answer()
    if (answer === null || answer.header.id !== id || answer.header.command !== command)
      throw new Error(`no answer to command ${command}`)
    return answer
  }

  /** As request; returns 0 or the errno of the refusal. */
  errno(command: number, payload: Uint8Array = new Uint8Array(0), fds: readonly number[] = []): number {
    const { header, fds: taken } = this.request(command, payload, fds)
    taken.forEach(close)
    return (header.flags & MessageFlag.ERROR) === 0 ? 0 : header.error
  }

  hello(sharedDoorbells = false): Answer {
    const capabilities = sharedDoorbells ? { ixy_shared_doorbells: true } : {}
    return this.request(Command.VERSION, encodeVersion({ major: 0, minor: 1, capabilities }))
  }

  read(region: number, offset: number, count = 4): number {
    const data = new Uint8Array(0)
    const { payload } = this.request(Command.REGION_READ, encodeRegionAccess({ region, offset, count, data }))
    const reply = decodeRegionAccess(payload, true).data
    return reply.reduce((value, byte, index) => value + byte * 2 ** (8 * index), 0)
  }

  write(region: number, offset: number, value: number, count = 4): number {
    const data = Uint8Array.from({ length: count }, (_, i) => value >>> (8 * i))
    return this.errno(Command.REGION_WRITE, encodeRegionAccess({ region, offset, count, data }))
  }

  /** Shares fresh memory at `address`; returns the client's own view of it. */
  share(address: number, size: number, flags = 3): ArrayBuffer {
    const fd = createSealedMemfd('ixy-ts-test', size)
    const mapped = mmap(size, { fd })
    this.undo.push(() => munmap(mapped, size))
    const errno = this.errno(Command.DMA_MAP, encodeDmaMap({ flags, offset: 0, address, size }), [fd])
    close(fd)
    if (errno !== 0) throw new Error(`DMA_MAP: errno ${errno}`)
    return viewOf(mapped, size)
  }

  close(): void {
    this.socket.close()
    this.undo.forEach((step) => step())
    this.undo.length = 0
  }
}
