/**
 * A number from an app as a count or an index: the whole number below it, at most 2^31 - 1; -1 if it is negative or none
 * at all. The loops ask for it only if `n | 0` isn't the same.
 */
export function whole(n: number): number {
  return n >= 0 ? Math.min(Math.floor(n), 0x7fffffff) : -1
}
