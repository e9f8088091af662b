import { ArpOperation, ArpPacket, PACKET_BYTES } from './arp.ts'
import { EthernetFrame, EtherType, HEADER_BYTES, MIN_FRAME_BYTES } from './ethernet.ts'
import type { Ipv4Prefix } from './ipv4.ts'
import { BROADCAST_MAC } from './mac.ts'
import type { PacketBytes } from './view.ts'

/** Packets that wait for an address at once: they are buffers that nobody else can use. */
const MOST_WAITING = 32
/** Requests for an address, one a second, before it is given up. */
const TRIES = 3
/** Seconds after which an address that hasn't been heard of is asked for anew. */
const LIFETIME = 60
const UNKNOWN = -1

interface Neighbour {
  mac: number
  /** Seconds since it was last heard of, or first asked for. */
  age: number
}

/** Of a `PacketMemory`, what a table needs. */
export interface ArpMemory extends PacketBytes {
  allocate(pool: number, ids: Int32Array, count: number): number
}

/** What an `ArpTable` works with. */
export interface ArpTableOptions {
  readonly memory: ArpMemory
  /** Where buffers for requests come from: one of the app's own pools. */
  readonly pool: number
  /** The port's own MAC address, as a number, and its IPv4 address with the prefix of its link. */
  readonly mac: number
  readonly prefix: Ipv4Prefix
  /** Takes packet `id`, which is ready to be transmitted. */
  readonly send: (id: number) => void
  /** Takes packet `id` back: the host that it was for doesn't answer. */
  readonly giveUp: (id: number) => void
}

/** The hosts on a port's link by their IPv4 addresses: asks for MAC addresses and answers for its own (RFC 826, RFC 1122 §2.3.2). */
export class ArpTable {
  private readonly options: ArpTableOptions
  /** By signed addresses: V8 keeps numbers from 2^31 on on the heap. */
  private readonly neighbours = new Map<number, Neighbour>()
  private readonly waiting = new Int32Array(MOST_WAITING)
  private readonly waitingFor = new Int32Array(MOST_WAITING)
  private count = 0
  private readonly one = new Int32Array(1)
  private readonly frame = new EthernetFrame()
  private readonly arp = new ArpPacket()

  constructor(options: ArpTableOptions) {
    this.options = options
  }

  /**
   * Addresses the frame of packet `id` to the host with this IPv4 address, and passes it to `options.send`: at once, or when the
   * host has answered. True: the packet is the table's now. False: too many are waiting, it is still the caller's.
   */
  send(id: number, address: number): boolean {
    const key = address | 0
    const neighbour = this.neighbours.get(key)
    if (neighbour !== undefined && neighbour.mac !== UNKNOWN) {
      this.dispatch(id, neighbour.mac)
      return true
    }
    if (this.count === MOST_WAITING) return false
    this.waiting[this.count] = id
    this.waitingFor[this.count++] = key
    if (neighbour === undefined) {
      this.neighbours.set(key, { mac: UNKNOWN, age: 0 })
      this.ask(key)
    }
    return true
  }

  /**
   * Learns from packet `id`, which has come from the link. True: it was a request for this port, is the reply now and has been
   * passed to `options.send`. False: it is still the caller's, whatever it was.
   */
  receive(id: number): boolean {
    const { frame, arp, neighbours, options } = this
    const { network, mask, address } = options.prefix
    if (!frame.wrapPacket(options.memory, id) || frame.type !== EtherType.ARP) return false
    if (!arp.wrap(frame.u8, frame.payloadOffset, frame.payloadLength)) return false
    const key = arp.senderIp | 0
    if (arp.targetIp !== address || (key & mask) !== network || key === (address | 0)) return false
    const { senderMac, operation } = arp
    const neighbour = neighbours.get(key) ?? { mac: senderMac, age: 0 }
    neighbour.mac = senderMac
    neighbour.age = 0
    neighbours.set(key, neighbour)
    for (let waiting = this.take(key); waiting >= 0; waiting = this.take(key))
      this.dispatch(waiting, senderMac)
    if (operation !== ArpOperation.REQUEST) return false
    arp.answer(options.mac)
    this.dispatch(id, senderMac)
    return true
  }

  /** To be called once a second: asks again, and gives up. */
  everySecond(): void {
    for (const [key, neighbour] of this.neighbours) {
      neighbour.age++
      if (neighbour.mac !== UNKNOWN) {
        if (neighbour.age >= LIFETIME) this.neighbours.delete(key)
      } else if (neighbour.age < TRIES) this.ask(key)
      else {
        this.neighbours.delete(key)
        for (let waiting = this.take(key); waiting >= 0; waiting = this.take(key))
          this.options.giveUp(waiting)
      }
    }
  }

  private dispatch(id: number, mac: number): void {
    const { frame, options } = this
    frame.wrapPacket(options.memory, id)
    frame.source = options.mac
    frame.destination = mac
    options.send(id)
  }

  /** Takes out the first packet that waits for an address; -1 if there is none. */
  private take(key: number): number {
    const { waiting, waitingFor, count } = this
    for (let i = 0; i < count; i++) {
      if (waitingFor[i] !== key) continue
      const id = waiting[i]
      waiting.copyWithin(i, i + 1, count)
      waitingFor.copyWithin(i, i + 1, count)
      this.count--
      return id
    }
    return -1
  }

  private ask(key: number): void {
    const { frame, arp, one } = this
    const { memory, pool, mac, prefix } = this.options
    if (memory.allocate(pool, one, 1) === 0) return
    const start = memory.dataOffset(one[0])
    memory.size[one[0]] = MIN_FRAME_BYTES
    // What the buffer held before goes to nobody.
    memory.u8.fill(0, start, start + MIN_FRAME_BYTES)
    frame.wrapPacket(memory, one[0])
    frame.type = EtherType.ARP
    arp.create(memory.u8, start + HEADER_BYTES, PACKET_BYTES)
    arp.ask(mac, prefix.address, key >>> 0)
    this.dispatch(one[0], BROADCAST_MAC)
  }
}
