/**
 * Work on packets that is left to the device: checksums, segmentation, VLAN tags. What a device can't do, software does in its
 * place (driver/software-offloads.ts), so an app need not ask who it is.
 *
 * As all that is known of a packet, it stands in arrays indexed by the buffer id. The fields are those of virtio_net_hdr
 * (virtio 1.2 §5.1.6), and mean the same.
 */

import { specialise } from '../specialise.ts'

/** What an app does with offloads, see App.offloads. */
export type OffloadUse = 'understands' | 'uses'

/** Bits of `PacketOffloads.flags`. */
export const OffloadFlag = {
  /**
   * The checksum of TCP or UDP is still to be completed, when the packet leaves: its field holds the sum of the pseudo header
   * (`TcpSegment.openChecksum()` writes it), `checksumStart` and `checksumOffset` say where.
   */
  CHECKSUM_OPEN: 1,
  /** Received: the device has found the checksums right, that of TCP, UDP or SCTP and, if there is one, that of the IP header. */
  CHECKSUM_GOOD: 2,
  /**
   * Received: the device has found one of them wrong. With neither, it hasn't looked, or can't tell: an 82599 finds fault with
   * datagrams of UDP that have no checksum.
   */
  CHECKSUM_BAD: 16,
  /** The packet has a VLAN tag besides its bytes, in `vlan`: it was taken out when the packet came in, or goes in when it leaves. */
  VLAN: 4,
  /** The checksum of the IPv4 header is to be computed when the packet leaves, whatever its field holds. */
  IP_OPEN: 8,
} as const

/** Which of it a device does itself. */
export interface DeviceOffloads {
  /** Its receive() writes `flags`, and `segment` = 0. */
  readonly receive: boolean
  /** Completes open checksums of TCP and UDP. */
  readonly checksum: boolean
  /** Computes those of IPv4 headers. */
  readonly ipChecksum: boolean
  /** Cuts what has a `segment`. */
  readonly segment: boolean
  /** Takes VLAN tags out, and puts them in. */
  readonly vlan: boolean
}

export const ALL_OFFLOADS: DeviceOffloads = {
  receive: true,
  checksum: true,
  ipChecksum: true,
  segment: true,
  vlan: true,
}

/** Part of PacketMemorySpec. */
export interface OffloadsSpec {
  readonly use: OffloadUse
  /** The pool that software takes buffers from to cut packets; no app's. -1: there is none. */
  readonly pool: number
}

/** Offloads of each packet of a worker, by id. See `PacketMemory.offloads`. */
export class PacketOffloads {
  /** See `OffloadFlag`. receive() writes it; buffers from allocate() have 0. */
  readonly flags: Uint8Array
  /** With CHECKSUM_OPEN: bytes from the packet's first to the TCP or UDP header, where the sum begins. It ends with the packet. */
  readonly checksumStart: Uint16Array
  /** From there to the field: 16 for TCP, 6 for UDP. */
  readonly checksumOffset: Uint16Array
  /**
   * Above 0: the packet is a large one of TCP, which leaves as several with so many bytes of payload each (the last one may have
   * less). Its lengths and its pseudo header are those of the large packet; it needs CHECKSUM_OPEN and `headerBytes`. It
   * may take the room of all that come of it: transmit() then takes fewer packets than room() has said.
   */
  readonly segment: Uint16Array
  /** With `segment`: bytes to the end of the TCP header, options included. */
  readonly headerBytes: Uint16Array
  /** With VLAN: the tag's priority, drop eligible bit and id, as in VlanTag. */
  readonly vlan: Uint16Array
  /** @internal VLAN tags are taken out of what is received: the app uses offloads. */
  readonly stripVlan: boolean
  /** @internal */
  readonly pool: number

  /** @internal */
  constructor(buffers: number, { use, pool }: OffloadsSpec) {
    this.flags = new Uint8Array(buffers)
    this.checksumStart = new Uint16Array(buffers)
    this.checksumOffset = new Uint16Array(buffers)
    this.segment = new Uint16Array(buffers)
    this.headerBytes = new Uint16Array(buffers)
    this.vlan = new Uint16Array(buffers)
    this.stripVlan = use === 'uses'
    this.pool = pool
  }
}

type Allocate = (pool: number, ids: Int32Array, count: number) => number

/** `allocate`, but that the buffers have no offloads. */
export function clearing(allocate: Allocate, offloads: PacketOffloads): Allocate {
  return specialise(makeClearing)(allocate, offloads)
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each memory. */
function makeClearing(allocate: Allocate, { flags, segment }: PacketOffloads): Allocate {
  return (pool, ids, count) => {
    const taken = allocate(pool, ids, count)
    for (let i = 0; i < taken; i++) {
      const id = ids[i]
      flags[id] = 0
      segment[id] = 0
    }
    return taken
  }
}
