// A reporter for jest: which tests were skipped, and why (the titles say it, see test/skip.ts). Writes the counts, where
// COUNTS names a file for them.
import { writeFileSync } from 'node:fs'

const REASON = /\(skipped: (.*)\)$/

export default class Skips {
  #failed = false

  constructor(globalConfig) {
    /** With -t, jest reports what was not asked for as skipped, too. */
    this.partial = Boolean(globalConfig.testNamePattern)
  }

  onRunComplete(_contexts, results) {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, numPendingTests } = results
    if (process.env.COUNTS) {
      const failed = numFailedTests + numRuntimeErrorTestSuites
      writeFileSync(
        process.env.COUNTS,
        JSON.stringify({ passed: numPassedTests, failed, skipped: numPendingTests }),
      )
    }
    if (this.partial || numPendingTests === 0) return
    const counts = new Map()
    for (const { testResults, testFilePath } of results.testResults) {
      for (const { status, ancestorTitles, title, fullName } of testResults) {
        if (status !== 'pending') continue
        const titles = [...ancestorTitles, title]
        const reason = titles.map((text) => REASON.exec(text)?.[1]).find((found) => found !== undefined)
        const shown = reason ?? `no reason given: ${testFilePath}: ${fullName}`
        counts.set(shown, (counts.get(shown) ?? 0) + 1)
        if (reason === undefined) this.#failed = true
        if (process.env.CI && reason?.startsWith('needs the program')) this.#failed = true
      }
    }
    console.error(`\n${numPendingTests} tests skipped:`)
    for (const [reason, count] of [...counts].sort(([, a], [, b]) => b - a)) {
      console.error(`${String(count).padStart(5)}  ${reason}`)
    }
    if (this.#failed) {
      console.error(
        'A skipped test without a reason is a failure; in CI, so is one that only lacks a program.',
      )
    }
  }

  getLastError() {
    return this.#failed ? new Error('tests were skipped that should have run') : undefined
  }
}
