import type { Share } from './options.ts'

/** How many of `count` packets of all workers are this one's; Infinity if there is no end to them (null). */
export function shareOf(count: number | null, { index, of }: Share): number {
  return count === null ? Infinity : Math.floor((count + of - 1 - index) / of)
}
