/**
 * Packets that a queue makes and sends by itself (TxQueue.generator). Packet k of all that are made, by however many queues, has the size
 * of turn k mod turns.length and the number k, 32 bits in its last four bytes, little-endian; of each field it has value k mod count.
 */
export interface Recipe {
  /** Which packets of them are this queue's: every `of`-th from number `index` on. */
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
  readonly fields: readonly RecipeField[]
}

/** Bytes that differ from packet to packet: `first`, and the `count - 1` numbers behind it. */
export interface RecipeField {
  readonly offset: number
  /** 2 or 4, big-endian. */
  readonly bytes: number
  readonly first: number
  readonly count: number
}
