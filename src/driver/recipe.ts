/**
 * Packets that a queue makes and sends by itself (TxQueue.generator). Packet k of all that are made, by however many queues, has the size
 * of turn k mod turns.length and the number k, 32 bits in its last four bytes, little-endian. This queue makes every `of`-th from number
 * `index` on. What fields and checksums are is told by the plan of pktgen (apps/pktgen/templates/frame-plan.ts).
 */
export interface Recipe {
  readonly index: number
  readonly of: number
  /** Where the buffers come from: a pool that no receive ring takes from. */
  readonly pool: number
  /** Recipes with the same object here take turns with the buffers of one pool. Nobody else may take any. */
  readonly family: object
  /** What is copied into a buffer that doesn't hold it yet. */
  readonly templates: readonly Uint8Array[]
  /** Indexes into `templates`. */
  readonly turns: readonly number[]
  readonly order: 'turn' | 'product' | 'random'
  readonly fields: readonly RecipeField[]
  readonly ip: RecipeChecksum | null
  readonly transport: (RecipeChecksum & { readonly isUdp: boolean; readonly overAddresses: boolean }) | null
  readonly outer: RecipeChecksum | null
  readonly echoSequence: number | null
  readonly entropyPort: number | null
}

/** A checksum that is written into every packet: where, and for each template what it begins with. */
export interface RecipeChecksum {
  readonly offset: number
  readonly sums: readonly number[]
}

/** Bytes that differ from packet to packet: `first`, and the `count - 1` numbers behind it. */
export interface RecipeField {
  readonly offset: number
  /** 2 or 4, big-endian. */
  readonly bytes: number
  readonly first: number
  readonly count: number
  /** Checksums of what it is part of: of IP and of the transport header, of that alone, of none of both. */
  readonly reach: 'addresses' | 'transport' | 'link'
  /** How far behind `first` it begins, how far it goes on from one packet to this queue's next, and what it is drawn with. */
  readonly digit: number
  readonly step: number
  readonly seed: number
}
