/** When packets moved: what averages are over. */

/** From the first packet to the last, milliseconds on CLOCK_MONOTONIC; null where none has moved. */
export type Span = { readonly first: number; readonly last: number } | null

/**
 * Seconds in which `packets` moved, drain and idle start excluded; 0 if there are none, at most `elapsed`. From the first
 * packet to the last of N there are N-1 gaps; the N-th is added, so that 10 packets at 10 pps take a second. Packets that
 * all moved at once have no time of their own: theirs is `elapsed`.
 */
export function activeSeconds(spans: readonly Span[], packets: number, elapsed: number): number {
  if (packets === 0) return 0
  const known = spans.filter((span) => span !== null)
  const first = Math.min(...known.map((span) => span.first))
  const last = Math.max(...known.map((span) => span.last))
  if (!(last > first) || packets < 2) return elapsed
  return Math.min(elapsed, ((last - first) / 1000) * (packets / (packets - 1)))
}
