/**
 * How long a cache line takes from one CPU to the next. A virtual machine's CPUs may be on cores that share a cache or on ones that
 * don't, and the host moves them: 42 or 205 ns here, by which whatever hands packets from thread to thread is fast or slow.
 */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'

const MILLISECONDS = 200
const ROUND = 200
const DONE = -1
/** Answers each odd number with the next. */
const OTHER = `
  const { parentPort, workerData: words } = require('node:worker_threads')
  parentPort.postMessage('ready')
  for (let last = 0; last !== ${DONE}; ) {
    last = Atomics.load(words, 0)
    if ((last & 1) === 1 && last !== ${DONE}) Atomics.store(words, 0, last + 1)
  }`

/** Nanoseconds one way, by two threads of which each waits for the other's word: in the best round, as others may run as well; null on one CPU. */
export async function crossing(): Promise<number | null> {
  if (availableParallelism() < 2) return null
  const words = new Int32Array(new SharedArrayBuffer(64))
  const worker = new Worker(OTHER, { eval: true, workerData: words })
  const exited = once(worker, 'exit')
  await once(worker, 'message')
  const end = performance.now() + MILLISECONDS
  let turns = 0
  let shortest = Infinity
  for (let begin = performance.now(); begin < end; begin = performance.now()) {
    for (let i = 0; i < ROUND; i++, turns++) {
      Atomics.store(words, 0, 2 * turns + 1)
      while (Atomics.load(words, 0) !== 2 * turns + 2);
    }
    shortest = Math.min(shortest, performance.now() - begin)
  }
  Atomics.store(words, 0, DONE)
  await exited
  return Math.round((shortest * 1e6) / (2 * ROUND))
}
