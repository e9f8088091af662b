/**
 * The hashes of Flow Director (82599 §7.1.2.7): one by FDIRHKEY, which chooses the bucket, and one by FDIRSKEY, the signature.
 *
 * A filter's fields are a stream of eleven words: pool, type and VLAN tag; destination and source address; ports; flexible
 * bytes. Bits of the hash are the exclusive or of one 16-bit window of the stream for each bit that is set in the key. As
 * the key repeats every 32 bits, all words but the first, the head, can be combined beforehand. That leaves two words, and
 * a table of what each value of each of their bytes contributes, to both hashes at once.
 */

/** Both hashes in one number: the bucket's in the lower 16 bits, the signature in the upper. */
export class FlowHash {
  private readonly table = new Uint32Array(8 * 256)
  private bucketKey = 0
  private signatureKey = 0

  /** Takes over the keys. */
  use(bucketKey: number, signatureKey: number): void {
    if (bucketKey === this.bucketKey && signatureKey === this.signatureKey) return
    this.bucketKey = bucketKey
    this.signatureKey = signatureKey
    const { table } = this
    for (let byte = 0; byte < 8; byte++) {
      for (let value = 1; value < 256; value++) {
        const at = (byte << 8) + value
        const lowest = value & -value
        if (value !== lowest) table[at] = table[at ^ lowest] ^ table[(byte << 8) + lowest]
        else {
          const word = lowest << ((byte & 3) << 3)
          const head = byte < 4 ? word : 0
          const body = byte < 4 ? 0 : word
          table[at] = (hash16(signatureKey, head, body) << 16) | hash16(bucketKey, head, body)
        }
      }
    }
  }

  of(head: number, body: number): number {
    const { table } = this
    return (
      table[head & 0xff] ^
      table[0x100 | ((head >>> 8) & 0xff)] ^
      table[0x200 | ((head >>> 16) & 0xff)] ^
      table[0x300 | (head >>> 24)] ^
      table[0x400 | (body & 0xff)] ^
      table[0x500 | ((body >>> 8) & 0xff)] ^
      table[0x600 | ((body >>> 16) & 0xff)] ^
      table[0x700 | (body >>> 24)]
    )
  }
}

/** The hash by one key of the stream's first word and the exclusive or of all others, bit by bit. */
function hash16(key: number, head: number, body: number): number {
  const high = body ^ head ^ (head >>> 16)
  const swapped = (body >>> 16) | (body << 16)
  // Bit 0 of the key meets the stream's last word, which has no head behind it.
  let hash = ((key & 1) !== 0 ? swapped : 0) ^ (((key >>> 16) & 1) !== 0 ? high : 0)
  const low = swapped ^ head ^ (head << 16)
  for (let bit = 1; bit < 16; bit++) {
    if (((key >>> bit) & 1) !== 0) hash ^= low >>> bit
    if (((key >>> (bit + 16)) & 1) !== 0) hash ^= high >>> bit
  }
  return hash & 0xffff
}
