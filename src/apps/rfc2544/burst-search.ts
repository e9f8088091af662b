/** The longest burst without loss (RFC 2544 §26.4). */

/**
 * The most frames, from 1 to `most`, of which `passes` says that all came through; 0: not even one does. To a `precision`, a share
 * of the result, and to a frame. `guess`: where to begin, e.g. the result of the search before.
 */
export async function longestBurst(
  most: number,
  precision: number,
  guess: number,
  passes: (frames: number) => Promise<boolean>,
): Promise<number> {
  let good = 0
  let bad = most + 1
  let next = Math.min(most, Math.max(1, Math.round(guess)))
  let step = Math.max(1, Math.round(next * precision * 4))
  while (bad - good > Math.max(1, good * precision)) {
    if (await passes(next)) good = next
    else bad = next
    if (good === 0) next = Math.max(1, Math.min(bad - 1, bad - step))
    else if (bad > most) next = Math.min(most, good + step)
    else next = Math.floor((good + bad) / 2)
    step *= 2
  }
  return good
}
