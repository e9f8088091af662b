/** What the parts have in common: a thread for each measurement, a row for its figures. */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

const { BENCH_BUILD = '' } = process.env

/** The C half. */
export const LIBRARY = join(BENCH_BUILD, 'native.so')

/** Runs one of the bundles in a thread; resolves with its first message. */
export function inWorker<Result>(file: string, workerData: unknown): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(join(BENCH_BUILD, file), { workerData })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

/** The first cell to the left, the others to the right. */
export function row(cells: readonly string[]): void {
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(18) : cell.padStart(18))).join(''))
}

export function percent(value: number): string {
  return `${Math.round(value * 100)} %`
}
