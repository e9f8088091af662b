/** Student's t-test of paired samples: whether what differs from pair to pair may be chance. */

export interface PairedTest {
  /** Of the differences, second less first. */
  readonly mean: number
  /** Half the width of the 95 % confidence interval of the mean. */
  readonly margin: number
  readonly t: number
  /** Probability of such a difference, or a larger one, if there were none: two-sided. */
  readonly p: number
}

export function pairedTest(first: readonly number[], second: readonly number[]): PairedTest {
  const differences = first.map((value, i) => second[i] - value)
  const n = differences.length
  const mean = average(differences)
  const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1)
  const error = Math.sqrt(variance / n)
  const t = mean / error
  return { mean, margin: quantileOf(0.05, n - 1) * error, t, p: twoSided(Math.abs(t), n - 1) }
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/** Probability that |t| is larger, with `freedom` degrees of freedom. */
export function twoSided(t: number, freedom: number): number {
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5)
}

/** The t for which that is `p`. */
function quantileOf(p: number, freedom: number): number {
  let [low, high] = [0, 1000]
  while (high - low > 1e-6) {
    const middle = (low + high) / 2
    if (twoSided(middle, freedom) > p) low = middle
    else high = middle
  }
  return high
}

/** The regularised incomplete beta function, by its continued fraction (Lentz's method). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1
  // The fraction converges fast on one side of the mean only.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
  const front =
    Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a
  const away = (value: number): number => (Math.abs(value) < 1e-300 ? 1e-300 : value)
  let c = 1
  let d = 1 / away(1 - ((a + b) * x) / (a + 1))
  let fraction = d
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / away(1 + even * d)
    c = away(1 + even / c)
    fraction *= c * d
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / away(1 + odd * d)
    c = away(1 + odd / c)
    fraction *= c * d
    if (Math.abs(c * d - 1) < 1e-14) break
  }
  return front * fraction
}

/** Stirling's series, from 10 on exact to 14 digits. */
function logGamma(x: number): number {
  if (x < 10) return logGamma(x + 1) - Math.log(x)
  const inverse = 1 / x
  const series = inverse / 12 - inverse ** 3 / 360 + inverse ** 5 / 1260 - inverse ** 7 / 1680
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series
}
