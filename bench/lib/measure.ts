/** Contestants on the same work, in alternation, and what can be said of their times. */

export interface Contestant {
  readonly name: string
  /** Does the work once; returns nanoseconds per packet. */
  round(): number
}

/** Nanoseconds per packet. */
export interface Times {
  readonly min: number
  readonly median: number
}

/** How many times as fast as another contestant, block by block: median, 10th and 90th percentile. */
export interface Ratio {
  readonly median: number
  readonly low: number
  readonly high: number
}

export interface Comparison {
  readonly times: Readonly<Record<string, Times>>
  /** Of the last contestant against each of the others. */
  readonly ratios: Readonly<Record<string, Ratio>>
}

export interface Effort {
  readonly blocks: number
  readonly roundsPerBlock: number
  /** Rounds of each contestant beforehand, which don't count: caches, branch predictors, the optimising compiler. */
  readonly warmUp: number
}

/** Runs blocks of each contestant in turn; who begins changes from turn to turn. */
export function compare(contestants: readonly Contestant[], effort: Effort): Comparison {
  const { blocks, roundsPerBlock, warmUp } = effort
  const samples = contestants.map(() =>
    Array.from({ length: blocks }, () => new Float64Array(roundsPerBlock)),
  )
  for (const contestant of contestants) for (let i = 0; i < warmUp; i++) contestant.round()
  for (let block = 0; block < blocks; block++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const who = (turn + block) % contestants.length
      const times = samples[who][block]
      for (let i = 0; i < roundsPerBlock; i++) times[i] = contestants[who].round()
      times.sort()
    }
  }
  const medians = samples.map((ofBlocks) => ofBlocks.map((block) => quantile(block, 0.5)))
  const last = contestants.length - 1
  return {
    times: Object.fromEntries(
      contestants.map(({ name }, i) => [
        name,
        {
          min: Math.min(...samples[i].map((block) => block[0])),
          median: quantile(Float64Array.from(medians[i]).sort(), 0.5),
        },
      ]),
    ),
    ratios: Object.fromEntries(
      contestants.slice(0, last).map(({ name }, i) => {
        const ratios = Float64Array.from(medians[i], (time, block) => time / medians[last][block]).sort()
        return [
          name,
          { median: quantile(ratios, 0.5), low: quantile(ratios, 0.1), high: quantile(ratios, 0.9) },
        ]
      }),
    ),
  }
}

/** `sorted` ascending. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}
