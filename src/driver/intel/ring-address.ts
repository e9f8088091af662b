/** An IOVA (a number below 2^52) as the two halves that base address registers take. */
export function splitAddress(iova: number): { low: number; high: number } {
  return { low: iova >>> 0, high: Math.floor(iova / 2 ** 32) }
}
