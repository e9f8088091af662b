/**
 * Finds the packets of a batch that can go to the kernel as one: segments of TCP that follow each other in the same flow, as the
 * kernel's own GRO joins them when a card receives them, and datagrams of UDP of one length. Only what can be cut into the same packets again is joined, so
 * headers must be alike but for what counts up; and only what has a right checksum, as the kernel is told that it needn't look.
 *
 *     batch   │ a1 │ a2 │ b1 │ ack │ a3 │ b2 │ …
 *     heads   │ a1 │ b1 │ ack │ …                      written in this order
 *     next    a1 → a2 → a3, b1 → b2
 */
import type { PacketMemory } from '../../memory/packets.ts'
import type { QueueParts } from './parts.ts'
import { isRight } from './verify.ts'
import {
  DONT_FRAGMENT,
  IP,
  PSH,
  TCP,
  TCP_BYTES,
  TYPE,
  TYPE_V4,
  TYPE_V6,
  UDP,
  UDP_BYTES,
  V4,
  V4_TCP,
  V6,
  V6_TCP,
  swap,
} from './words.ts'
import { HEADER_BYTES } from '../../packet/ethernet.ts'
import { IpProtocol } from '../../packet/ipv4.ts'
import { TcpFlag } from '../../packet/tcp.ts'

/** Flows that are looked after at a time. */
const FLOWS = 16
/** An IP packet's largest length field. */
const LONGEST = 65535
/** Datagrams that are one (UDP_MAX_SEGMENTS of Linux before 6.9). */
const DATAGRAMS = 64
/** What parse() says of what it doesn't take: it is neither TCP nor UDP; it is, but not of the plain kind. */
const OTHER = -1
const ODD = -2

export class Joiner {
  /** Places in the batch that are written, in this order: packets of their own, and the first of several that are joined. */
  readonly heads: Uint8Array
  count = 0
  /** For each place, the next of the same write; -1: it is the last. */
  readonly next: Int16Array
  /** Of a head with a next: bytes of all headers, and of the payload of all. */
  readonly headerBytes: Uint16Array
  readonly payload: Uint16Array
  /** The last packet of a head's has PSH. */
  readonly pushes: Uint8Array
  private readonly memory: PacketMemory
  /** From the first byte of memory.u8 on. */
  private readonly halfs: Uint16Array
  /** Of the packet that parse() has taken last: where its payload begins, and how long it is. */
  private dataAt = 0
  private dataBytes = 0
  private flow = 0
  private isUdp = false
  /** Of each open run: its head and last place, a hash of its flow, what comes next. */
  private runs = 0
  private readonly runHead = new Uint8Array(FLOWS)
  private readonly runLast = new Uint8Array(FLOWS)
  private readonly runFlow = new Int32Array(FLOWS)
  private readonly runSequence = new Int32Array(FLOWS)
  private readonly runSegment = new Uint16Array(FLOWS)
  private readonly runPackets = new Uint8Array(FLOWS)
  private readonly runVerified = new Uint8Array(FLOWS)

  private readonly kinds: QueueParts['joins']

  /** `most`: packets of a batch, 256 at most. */
  constructor(memory: PacketMemory, most: number, kinds: QueueParts['joins']) {
    this.kinds = kinds
    const { u8 } = memory
    this.memory = memory
    this.halfs = new Uint16Array(u8.buffer, u8.byteOffset, u8.length >> 1)
    this.heads = new Uint8Array(most)
    this.next = new Int16Array(most)
    this.headerBytes = new Uint16Array(most)
    this.payload = new Uint16Array(most)
    this.pushes = new Uint8Array(most)
  }

  /** Looks at `batch[start … start + count - 1]`. */
  plan(batch: Int32Array, start: number, count: number): void {
    this.count = 0
    this.runs = 0
    for (let place = 0; place < count; place++) {
      const id = batch[start + place]
      this.next[place] = -1
      const tcp = this.parse(id)
      if (tcp > 0 && this.tryJoin(id, place, tcp, batch, start)) continue
      if (tcp === ODD) this.runs = 0
      this.heads[this.count++] = place
    }
  }

  /** No joining: each packet is written for itself. */
  planSingly(count: number): void {
    this.count = count
    for (let place = 0; place < count; place++) {
      this.heads[place] = place
      this.next[place] = -1
    }
  }

  /** Where TCP or UDP begins in a packet of plain IPv4 or IPv6 that is as long as it says, OTHER or ODD. */
  private parse(id: number): number {
    const { halfs, memory } = this
    const size = memory.size[id]
    const at = memory.dataOffset(id) >> 1
    const type = halfs[at + TYPE]
    let tcp = V6_TCP
    let protocol: number
    if (type === TYPE_V4) {
      if (size < V4_TCP) return OTHER
      protocol = halfs[at + V4.ttl] >> 8
      const isPlain = (halfs[at + IP] & 0xff) === 0x45 && (halfs[at + V4.fragment] & ~DONT_FRAGMENT) === 0
      if (!isPlain || swap(halfs[at + V4.length]) !== size - HEADER_BYTES) return ODD
      tcp = V4_TCP
    } else {
      if (type !== TYPE_V6 || size < V6_TCP) return OTHER
      protocol = halfs[at + V6.hops] & 0xff
      if (protocol === IpProtocol.ICMPV6) return OTHER
      if (swap(halfs[at + V6.length]) !== size - V6_TCP) return ODD
    }
    const isUdp = protocol === IpProtocol.UDP
    // Behind extension headers there may be more of a flow that is being joined: it stays in its order.
    if (!isUdp && protocol !== IpProtocol.TCP) return type === TYPE_V6 ? ODD : OTHER
    if (size < tcp + (isUdp ? UDP_BYTES : TCP_BYTES)) return ODD
    const transport = at + (tcp >> 1)
    const header = isUdp ? UDP_BYTES : ((halfs[transport + TCP.flags] & 0xf0) >> 4) << 2
    this.dataAt = tcp + header
    this.dataBytes = size - this.dataAt
    if (this.dataBytes < 0 || (!isUdp && header < TCP_BYTES)) return ODD
    const addresses = at + (tcp === V4_TCP ? V4.addresses : V6.addresses)
    this.isUdp = isUdp
    this.flow =
      halfs[transport] ^
      (halfs[transport + 1] << 16) ^
      (halfs[addresses + 1] << 8) ^
      halfs[transport - 1] ^
      (protocol << 24)
    return tcp
  }

  /** Data, nothing else: whatever begins, ends or signals congestion goes alone, and so does what has no checksum. */
  private isData(transport: number): boolean {
    const { halfs, dataBytes } = this
    if (dataBytes <= 0) return false
    if (this.isUdp)
      return (
        swap(halfs[transport + UDP.length]) === UDP_BYTES + dataBytes && halfs[transport + UDP.checksum] !== 0
      )
    const flags = halfs[transport + TCP.flags]
    return ((flags >> 8) & ~TcpFlag.PSH) === TcpFlag.ACK && (flags & 0x0f) === 0
  }

  /** True if the packet goes with those of an open run; else it may have begun one. */
  private tryJoin(id: number, place: number, tcp: number, batch: Int32Array, start: number): boolean {
    const { halfs, memory, runHead } = this
    if (!(this.isUdp ? this.kinds.udp : this.kinds.tcp)) return false
    const at = memory.dataOffset(id) >> 1
    const transport = at + (tcp >> 1)
    const pushes = !this.isUdp && (halfs[transport + TCP.flags] & PSH) !== 0
    const isData = this.isData(transport)
    const sequence = this.isUdp ? 0 : this.sequenceAt(transport)
    let run = this.runs - 1
    for (; run >= 0; run--) {
      if (this.runFlow[run] !== this.flow) continue
      if (this.sameFlow(memory.dataOffset(batch[start + runHead[run]]) >> 1, at, tcp)) break
    }
    if (run >= 0) {
      const head = batch[start + runHead[run]]
      if (isData && this.continues(run, head, id, tcp, sequence)) {
        this.append(run, place, sequence, pushes)
        return true
      }
      this.close(run)
    }
    if (isData && !pushes) this.begin(place, sequence)
    return false
  }

  private sequenceAt(transport: number): number {
    const { halfs } = this
    return (swap(halfs[transport + TCP.sequence]) << 16) | swap(halfs[transport + TCP.sequence + 1])
  }

  private begin(place: number, sequence: number): void {
    if (this.runs === FLOWS) this.close(0)
    const run = this.runs++
    this.runHead[run] = place
    this.runLast[run] = place
    this.runFlow[run] = this.flow
    this.runSequence[run] = (sequence + this.dataBytes) | 0
    this.runSegment[run] = this.dataBytes
    this.runPackets[run] = 1
    this.runVerified[run] = 0
    this.headerBytes[place] = this.dataAt
    this.payload[place] = this.dataBytes
    this.pushes[place] = 0
  }

  private append(run: number, place: number, sequence: number, pushes: boolean): void {
    const head = this.runHead[run]
    this.next[this.runLast[run]] = place
    this.runLast[run] = place
    this.runSequence[run] = (sequence + this.dataBytes) | 0
    this.runPackets[run]++
    this.payload[head] += this.dataBytes
    if (pushes) this.pushes[head] = 1
    // One that is shorter, or is to be delivered at once, is the last.
    if (pushes || this.dataBytes < this.runSegment[run]) this.close(run)
  }

  /** Nothing is added to it any more. */
  private close(run: number): void {
    const last = --this.runs
    for (let to = run; to < last; to++) {
      this.runHead[to] = this.runHead[to + 1]
      this.runLast[to] = this.runLast[to + 1]
      this.runFlow[to] = this.runFlow[to + 1]
      this.runSequence[to] = this.runSequence[to + 1]
      this.runSegment[to] = this.runSegment[to + 1]
      this.runPackets[to] = this.runPackets[to + 1]
      this.runVerified[to] = this.runVerified[to + 1]
    }
  }

  /** Addresses, protocol and ports of the packets that begin at words `a` and `b`. */
  private sameFlow(a: number, b: number, tcp: number): boolean {
    const { halfs } = this
    if (halfs[a + TYPE] !== halfs[b + TYPE]) return false
    const protocol = tcp === V4_TCP ? V4.ttl : V6.hops
    const mask = tcp === V4_TCP ? 0xff00 : 0xff
    if (((halfs[a + protocol] ^ halfs[b + protocol]) & mask) !== 0) return false
    const end = (tcp >> 1) + 2
    for (let word = tcp === V4_TCP ? V4.addresses : V6.addresses; word < end; word++)
      if (halfs[a + word] !== halfs[b + word]) return false
    return true
  }

  /** The packet that parse() has taken is what comes next in `run`, but for what is counted up alike; its flow is the same. */
  private continues(run: number, head: number, id: number, tcp: number, sequence: number): boolean {
    const { halfs, memory } = this
    const a = memory.dataOffset(head) >> 1
    const b = memory.dataOffset(id) >> 1
    const place = this.runHead[run]
    if (this.dataBytes > this.runSegment[run]) return false
    if (this.isUdp ? this.runPackets[run] === DATAGRAMS : sequence !== this.runSequence[run]) return false
    const all = this.dataAt - HEADER_BYTES + this.payload[place] + this.dataBytes
    if (all > LONGEST || this.dataAt !== this.headerBytes[place]) return false
    for (let word = 0; word <= IP; word++) if (halfs[a + word] !== halfs[b + word]) return false
    if (tcp === V4_TCP) {
      if (halfs[a + V4.ttl] !== halfs[b + V4.ttl] || halfs[a + V4.fragment] !== halfs[b + V4.fragment])
        return false
      const id = (swap(halfs[a + V4.id]) + this.runPackets[run]) & 0xffff
      // It means nothing where nobody may fragment (RFC 6864 §4.1).
      if ((halfs[a + V4.fragment] & DONT_FRAGMENT) === 0 && swap(halfs[b + V4.id]) !== id) return false
    } else if (halfs[a + IP + 1] !== halfs[b + IP + 1] || halfs[a + V6.hops] !== halfs[b + V6.hops])
      return false
    const one = a + (tcp >> 1)
    const other = b + (tcp >> 1)
    const end = this.isUdp ? 0 : (this.dataAt - tcp) >> 1
    for (let word: number = TCP.acknowledgement; word < end; word++) {
      if (word === TCP.checksum) continue
      if (((halfs[one + word] ^ halfs[other + word]) & (word === TCP.flags ? ~PSH : -1)) !== 0) return false
    }
    if (this.runVerified[run] === 0) {
      if (!isRight(memory, halfs, head, tcp, this.isUdp)) return false
      this.runVerified[run] = 1
    }
    return isRight(memory, halfs, id, tcp, this.isUdp)
  }
}
