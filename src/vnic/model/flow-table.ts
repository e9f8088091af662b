/** The filters of Flow Director in their buckets (82599 §7.1.2.7): lists, to whose end filters are added. */

/** Most filters there can be: signature filters in 256 KiB of the packet buffer. */
const MOST = 32768
/** Most of those that have fields. */
const MOST_PERFECT = 8192
const NOTHING = new Uint16Array(0)

/** A filter's fields, in words as they come from the wire, first byte highest. */
export const Field = { HEAD: 0, PORTS: 1, FLEX: 2, DESTINATION: 3, SOURCE: 4 } as const
export const FIELDS = 8

/** No filter. */
export const NONE = -1
/** FDIRLEN.MAXLEN has six bits. */
const LONGEST = 63

/** Filters are numbers below the capacity. It has no memory until it is used. */
export class FlowTable {
  /** Of each filter: signature, or the index that software has given it. */
  ids = NOTHING
  /** Of each filter: what FDIRCMD says about it. */
  commands = new Int32Array(0)
  /** How many filters are in each bucket. */
  lengths = new Uint8Array(0)
  /** How many more buckets than filters there are. */
  free = 0
  /** Bits of a hash that name a bucket. */
  mask = 0

  private perfect = false
  private fields = new Int32Array(0)
  /** First filter of each bucket and next one of each filter, plus one; 0: none. Free ones are a list, too. */
  private heads = NOTHING
  private next = NOTHING
  private unused = 0

  /** Empties it. `size`: buckets, a power of two; two filters less fit in. */
  clear(size: number, perfect: boolean): void {
    if (this.heads === NOTHING) this.allocate()
    this.perfect = perfect
    this.mask = size - 1
    this.free = size
    this.heads.fill(0)
    this.lengths.fill(0)
    for (let i = 0; i < size - 2; i++) this.next[i] = i + 2
    this.next[size - 3] = 0
    this.unused = 1
  }

  private allocate(): void {
    this.ids = new Uint16Array(MOST)
    this.commands = new Int32Array(MOST)
    this.lengths = new Uint8Array(MOST)
    this.fields = new Int32Array(MOST_PERFECT * FIELDS)
    this.heads = new Uint16Array(MOST)
    this.next = new Uint16Array(MOST)
  }

  /** The filter with this id, or NONE. */
  byId(bucket: number, id: number): number {
    const { ids, next } = this
    let filter = this.heads[bucket] - 1
    while (filter !== NONE && ids[filter] !== id) filter = next[filter] - 1
    return filter
  }

  /** The filter with these fields, or NONE. */
  byFields(bucket: number, wanted: Int32Array): number {
    const { fields, next } = this
    let filter = this.heads[bucket] - 1
    while (filter !== NONE) {
      const at = filter * FIELDS
      let i = 0
      while (i < FIELDS && fields[at + i] === wanted[i]) i++
      if (i === FIELDS) return filter
      filter = next[filter] - 1
    }
    return NONE
  }

  /** A new filter at the end of the bucket's list; NONE if there is no room, in the table or in the list. */
  add(bucket: number, id: number, fields: Int32Array): number {
    const filter = this.unused - 1
    if (filter === NONE || this.lengths[bucket] === LONGEST) return NONE
    const { next, heads } = this
    this.unused = next[filter]
    next[filter] = 0
    if (heads[bucket] === 0) heads[bucket] = filter + 1
    else {
      let last = heads[bucket] - 1
      while (next[last] !== 0) last = next[last] - 1
      next[last] = filter + 1
    }
    this.ids[filter] = id
    if (this.perfect) this.fields.set(fields, filter * FIELDS)
    this.lengths[bucket]++
    this.free--
    return filter
  }

  /** Takes a filter out of its bucket's list. */
  remove(bucket: number, filter: number): void {
    const { next, heads } = this
    if (heads[bucket] === filter + 1) heads[bucket] = next[filter]
    else {
      let before = heads[bucket] - 1
      while (next[before] !== filter + 1) before = next[before] - 1
      next[before] = next[filter]
    }
    next[filter] = this.unused
    this.unused = filter + 1
    this.lengths[bucket]--
    this.free++
  }
}
