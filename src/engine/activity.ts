/** When packets moved: what averages are over. */

/** From the first packet to the last, milliseconds on CLOCK_MONOTONIC; null where none has moved. */
export type Span = { readonly first: number; readonly last: number } | null

/**
 * When packets moved, if that is what virtual cards (`cards`; null: another one, or one that hasn't moved any) and `workers` say.
 * A virtual card knows exactly when it has moved the last packet, which is all there is to know if the run has no `others`; a worker knows
 * it less exactly. The first has moved when a worker has put it into a ring, even if the card looks there later: what it finds by then was
 * not sent in no time.
 */
export function spansOf(cards: readonly Span[], workers: readonly Span[], others: boolean): Span[] {
  const begins = workers.map((span) => (span === null ? null : { first: span.first, last: span.first }))
  return [...cards, ...(others ? workers : begins)]
}

/**
 * Seconds in which `packets` moved, drain and idle start excluded; 0 if there are none. From the first packet to the last of N
 * there are N-1 gaps; the N-th is added as far as `elapsed` has room for it, so that 10 packets at 10 pps take a second. Packets that
 * all moved at once have no time of their own: theirs is `elapsed`. What moved after the run had been told to end is counted too, and so
 * is its time: it may be longer than `elapsed`.
 */
export function activeSeconds(spans: readonly Span[], packets: number, elapsed: number): number {
  if (packets === 0) return 0
  const known = spans.filter((span) => span !== null)
  const first = Math.min(...known.map((span) => span.first))
  const last = Math.max(...known.map((span) => span.last))
  if (!(last > first) || packets < 2) return elapsed
  const moved = (last - first) / 1000
  return Math.max(moved, Math.min(elapsed, moved * (packets / (packets - 1))))
}
