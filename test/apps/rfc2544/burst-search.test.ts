import fc from 'fast-check'
import { longestBurst } from '../../../src/apps/rfc2544/burst-search.ts'

test('finds the longest burst that passes, wherever it begins, in few tries', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30_000_000 }),
      fc.double({ min: 0, max: 1.2, noNaN: true }),
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      fc.constantFrom(0.0001, 0.0025, 0.1),
      async (most, share, from, precision) => {
        const longest = Math.floor(most * share)
        const tried: number[] = []
        const found = await longestBurst(most, precision, most * from, (frames) => {
          tried.push(frames)
          return Promise.resolve(frames <= longest)
        })
        expect(found).toBeLessThanOrEqual(Math.min(longest, most))
        expect(found).toBeGreaterThanOrEqual(Math.min(longest, most) / (1 + precision) - 1)
        expect(Math.min(...tried)).toBeGreaterThanOrEqual(1)
        expect(Math.max(...tried)).toBeLessThanOrEqual(most)
        expect(tried.length).toBeLessThan(60)
        // What it says has been seen.
        if (found > 0) expect(tried).toContain(found)
      },
    ),
  )
})
