// A reporter for jest: which tests were skipped, and why (the titles say it, see test/skip.ts). Writes the counts, and the names
// of the files that have failed, where COUNTS names a file for them.
import { writeFileSync } from 'node:fs'

const REASON = /\(skipped: (.*)\)$/

export default class Skips {
  #failed = false

  constructor(globalConfig) {
    /** With -t, jest reports what was not asked for as skipped, too. */
    this.partial = Boolean(globalConfig.testNamePattern)
  }

  onRunComplete(_contexts, results) {
    const reasons = new Map()
    let wrong = 0
    for (const { testResults, testFilePath } of results.testResults) {
      for (const { status, ancestorTitles, title, fullName } of testResults) {
        if (status !== 'pending' || this.partial) continue
        const titles = [...ancestorTitles, title]
        const reason = titles.map((text) => REASON.exec(text)?.[1]).find((found) => found !== undefined)
        const shown = reason ?? `no reason given: ${testFilePath}: ${fullName}`
        reasons.set(shown, (reasons.get(shown) ?? 0) + 1)
        if (reason === undefined || (process.env.CI && reason.startsWith('needs the program'))) wrong++
      }
    }
    this.#failed = wrong > 0
    if (reasons.size > 0) {
      console.error(`\n${results.numPendingTests} tests skipped:`)
      for (const [reason, count] of [...reasons].sort(([, a], [, b]) => b - a)) {
        console.error(`${String(count).padStart(5)}  ${reason}`)
      }
    }
    if (this.#failed) {
      console.error(
        'A skipped test without a reason is a failure; in CI, so is one that only lacks a program.',
      )
    }
    if (process.env.COUNTS) {
      const failed = results.numFailedTests + results.numRuntimeErrorTestSuites + wrong
      const files = results.testResults
        .filter(({ numFailingTests, testExecError }) => numFailingTests > 0 || testExecError !== undefined)
        .map(({ testFilePath }) => testFilePath)
      const counts = {
        passed: results.numPassedTests,
        failed,
        skipped: results.numPendingTests - wrong,
        files,
      }
      writeFileSync(process.env.COUNTS, JSON.stringify(counts))
    }
  }

  getLastError() {
    return this.#failed ? new Error('tests were skipped that should have run') : undefined
  }
}
