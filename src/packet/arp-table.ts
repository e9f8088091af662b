import { ArpOperation, ArpPacket, PACKET_BYTES } from './arp.ts'
import { EthernetFrame, EtherType, HEADER_BYTES, MIN_FRAME_BYTES } from './ethernet.ts'
import type { Ipv4Prefix } from './ipv4.ts'
import { BROADCAST_MAC, MAC_BYTES } from './mac.ts'
import type { PacketBytes } from './view.ts'

/** Packets that wait for an address at once: they are buffers that nobody else can use. */
const MOST_WAITING = 32
/** Requests for an address, one a second, before it is given up. */
const TRIES = 3
/** Seconds after which an address that hasn't been heard of is asked for anew. */
const LIFETIME = 60

interface Neighbour {
  readonly mac: Uint8Array
  /** `mac` is its address. */
  known: boolean
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
  /** The port's own MAC address, and its IPv4 address with the prefix of its link. */
  readonly mac: Uint8Array
  readonly prefix: Ipv4Prefix
  /** Takes packet `id`, which is ready to be transmitted. */
  readonly send: (id: number) => void
  /** Takes packet `id` back: the host that it was for doesn't answer. */
  readonly giveUp: (id: number) => void
}

/** The hosts on a port's link by their IPv4 addresses: asks for MAC addresses and answers for its own (RFC 826, RFC 1122 §2.3.2). */
export class ArpTable {
  private readonly options: ArpTableOptions
  /** By their IPv4 addresses. */
  private readonly neighbours = new Map<number, Neighbour>()
  private readonly waiting = new Int32Array(MOST_WAITING)
  private readonly waitingFor = new Int32Array(MOST_WAITING)
  private count = 0
  private closed = false
  private readonly one = new Int32Array(1)
  private readonly frame = new EthernetFrame()
  private readonly arp = new ArpPacket()

  constructor(options: ArpTableOptions) {
    this.options = options
  }

  /**
   * Addresses the frame of packet `id` to the host with this IPv4 address, and passes it to `options.send`: at once, or when the
   * host has answered. True: the packet is the table's now. False: too many are waiting, or none may any more; it is still the
   * caller's.
   */
  send(id: number, address: number): boolean {
    const neighbour = this.neighbours.get(address)
    if (neighbour?.known) {
      this.dispatch(id, neighbour.mac)
      return true
    }
    if (this.count === MOST_WAITING || this.closed) return false
    this.waiting[this.count] = id
    this.waitingFor[this.count++] = address
    if (neighbour === undefined) {
      this.neighbours.set(address, newNeighbour())
      this.ask(address)
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
    const { senderIp, operation } = arp
    if (arp.targetIp !== address || (senderIp & mask) !== network || senderIp === address) return false
    const neighbour = neighbours.get(senderIp) ?? newNeighbour()
    arp.copySenderMac(neighbour.mac)
    neighbour.known = true
    neighbour.age = 0
    neighbours.set(senderIp, neighbour)
    for (let waiting = this.take(senderIp); waiting >= 0; waiting = this.take(senderIp))
      this.dispatch(waiting, neighbour.mac)
    if (operation !== ArpOperation.REQUEST) return false
    arp.answer(options.mac)
    this.dispatch(id, neighbour.mac)
    return true
  }

  /** To be called once a second: asks again, and gives up. */
  everySecond(): void {
    for (const [address, neighbour] of this.neighbours) {
      neighbour.age++
      if (neighbour.known) {
        if (neighbour.age >= LIFETIME) this.neighbours.delete(address)
      } else if (neighbour.age < TRIES) this.ask(address)
      else {
        this.neighbours.delete(address)
        for (let waiting = this.take(address); waiting >= 0; waiting = this.take(address))
          this.options.giveUp(waiting)
      }
    }
  }

  /** The run is about to end: gives up what waits, and lets nothing wait any more. */
  close(): void {
    this.closed = true
    while (this.count > 0) this.options.giveUp(this.waiting[--this.count])
  }

  private dispatch(id: number, mac: Uint8Array): void {
    const { frame, options } = this
    frame.wrapPacket(options.memory, id)
    frame.setSource(options.mac)
    frame.setDestination(mac)
    options.send(id)
  }

  /** Takes out the first packet that waits for an address; -1 if there is none. */
  private take(address: number): number {
    const { waiting, waitingFor, count } = this
    for (let i = 0; i < count; i++) {
      if (waitingFor[i] !== address) continue
      const id = waiting[i]
      waiting.copyWithin(i, i + 1, count)
      waitingFor.copyWithin(i, i + 1, count)
      this.count--
      return id
    }
    return -1
  }

  private ask(target: number): void {
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
    arp.ask(mac, prefix.address, target)
    this.dispatch(one[0], BROADCAST_MAC)
  }
}

function newNeighbour(): Neighbour {
  return { mac: new Uint8Array(MAC_BYTES), known: false, age: 0 }
}
