/**
 * Packets that a queue makes and sends by itself (TxQueue.generator). Packet k of all that are made, by however many queues, has the size
 * of turn k mod turns.length and the number k, 32 bits in its last four bytes, little-endian. This queue makes every `of`-th from number
 * `index` on.
 */
export interface Recipe extends PacketPlan {
  readonly index: number
  readonly of: number
  /** Where the buffers come from: a pool that no receive ring takes from. */
  readonly pool: number
  /** Recipes with the same object here take turns with the buffers of one pool. Nobody else may take any. */
  readonly family: object
  readonly fields: readonly RecipeField[]
}

/** What is made, whoever makes it. */
export interface PacketPlan {
  /** A frame for each size, which is copied into a buffer that doesn't hold it yet: packet 0, had it that size. */
  readonly templates: readonly Uint8Array[]
  /** Indexes into `templates`. */
  readonly turns: readonly number[]
  readonly fields: readonly PacketField[]
  /** How the values of several fields go together (apps/pktgen/templates/frame-plan.ts). */
  readonly order: 'turn' | 'product' | 'random'
  /** Of the innermost IPv4 header, if its addresses differ. */
  readonly ip: PacketChecksum | null
  /** Of TCP, ICMP, and UDP with a checksum. `isUdp`: 0 is written as 0xffff. `overAddresses`: IP addresses are part of it. */
  readonly transport: (PacketChecksum & { readonly isUdp: boolean; readonly overAddresses: boolean }) | null
  /** ICMP: where the lower 16 bits of the packet's number stand as well. */
  readonly echoSequence: number | null
  /** VXLAN: where the source port is that tells flows apart, if there are several. */
  readonly entropyPort: number | null
  /** VXLAN over IPv6: the outer UDP checksum. */
  readonly outer: PacketChecksum | null
}

/** A checksum that is written into every packet. */
export interface PacketChecksum {
  readonly offset: number
  /** For each template, the sum of what it is over, with zeros in place of fields, sequence number and checksums that are written. */
  readonly sums: readonly number[]
}

/** A field that differs from packet to packet: `first`, and the `count - 1` numbers behind it. */
export interface PacketField {
  readonly offset: number
  /** 2 or 4, big-endian. */
  readonly bytes: number
  /** Signed, 32 bits. */
  readonly first: number
  readonly count: number
  /** Which checksums it is part of: all of IP and transport, transport alone, or none of both. */
  readonly reach: 'addresses' | 'transport' | 'link'
}

/** Where a field stands. */
export interface RecipeField extends PacketField {
  /** How far behind `first` it begins, how far it goes on from one packet to this queue's next, and what it is drawn with. */
  readonly digit: number
  readonly step: number
  readonly seed: number
}
