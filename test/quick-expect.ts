/**
 * expect() makes three hundred functions and an error for each of its calls, of which a test calls one: a third of the time of
 * tests that look at each of many packets. This makes the one that is called; what is plainly so is found so at once, and of all else
 * Jest is the judge, and says what is wrong.
 */
type Judge = (...expected: unknown[]) => unknown
type Matchers = Record<string, Judge>

/** Where Jest keeps what can be asked, and how much was. */
const jestKeeps = (
  globalThis as unknown as Record<symbol, { matchers: Matchers; readonly state: { assertionCalls: number } }>
)[Symbol.for('$$jest-matchers-object')]
const all = jestKeeps.matchers
const thorough = expect as unknown as (actual: unknown) => Matchers & {
  readonly not: Matchers
  readonly resolves: unknown
  readonly rejects: unknown
}

const numbers = (a: unknown, b: unknown): boolean => typeof a === 'number' && typeof b === 'number'

/** What needs no judge: true where it is so, false where it may be. */
const PLAIN: Readonly<Record<string, (actual: unknown, expected: unknown) => boolean>> = {
  toBe: Object.is,
  toEqual: Object.is,
  toBeNull: (actual) => actual === null,
  toBeGreaterThan: (actual, expected) => numbers(actual, expected) && Number(actual) > Number(expected),
  toBeGreaterThanOrEqual: (actual, expected) =>
    numbers(actual, expected) && Number(actual) >= Number(expected),
  toBeLessThan: (actual, expected) => numbers(actual, expected) && Number(actual) < Number(expected),
  toBeLessThanOrEqual: (actual, expected) => numbers(actual, expected) && Number(actual) <= Number(expected),
}

/** Jest's expect(), with one thing that can be asked. */
function only(name: string, actual: unknown): ReturnType<typeof thorough> {
  // The error is for what is asked of a promise, which goes another way.
  const { stackTraceLimit } = Error
  jestKeeps.matchers = { [name]: all[name] }
  Error.stackTraceLimit = 0
  try {
    return thorough(actual)
  } finally {
    jestKeeps.matchers = all
    Error.stackTraceLimit = stackTraceLimit
  }
}

class Quick {
  readonly actual: unknown
  readonly negated: boolean

  constructor(actual: unknown, negated = false) {
    this.actual = actual
    this.negated = negated
  }

  get not(): Quick {
    return new Quick(this.actual, true)
  }

  get resolves(): unknown {
    return thorough(this.actual).resolves
  }

  get rejects(): unknown {
    return thorough(this.actual).rejects
  }
}

for (const name of Object.keys(all)) {
  const plain = PLAIN[name] as (typeof PLAIN)[string] | undefined
  const judge = function (this: Quick, ...expected: unknown[]): unknown {
    const { actual, negated } = this
    if (!negated && plain?.(actual, expected[0]) === true) {
      jestKeeps.state.assertionCalls++
      return undefined
    }
    const one = only(name, actual)
    try {
      return (negated ? one.not : one)[name](...expected)
    } catch (error) {
      // The place in the test is what is shown.
      if (error instanceof Error && 'matcherResult' in error) Error.captureStackTrace(error, judge)
      throw error
    }
  }
  Object.defineProperty(Quick.prototype, name, { value: judge })
}

Object.assign(globalThis, { expect: Object.assign((actual: unknown) => new Quick(actual), thorough) })
