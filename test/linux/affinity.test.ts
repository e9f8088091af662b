import { allowedCpus, currentCpu, leaveCpu, pinThread, runnableThreads } from '../../src/linux/affinity.ts'
import { testIf } from '../skip.ts'

const cpus = allowedCpus()
const several = cpus.length > 1 ? null : 'needs two CPUs'
afterEach(() => pinThread(cpus))
beforeEach(nextLook)

/** It looks once a millisecond. */
function nextLook(): void {
  const end = performance.now() + 2
  while (performance.now() < end);
}

test('the threads that run are counted, this one among them', () => {
  const running = runnableThreads()
  expect(Number.isInteger(running)).toBe(true)
  expect(running).toBeGreaterThanOrEqual(1)
})

testIf(several, 'a thread leaves its CPU if another is idle, and may run on all as before', () => {
  let moves = 0
  for (let i = 0; i < 20; i++) {
    nextLook()
    const before = currentCpu()
    expect(leaveCpu(() => cpus.length)).toBe(true)
    if (currentCpu() !== before) moves++
  }
  // The scheduler may move it back at once, but not always.
  expect(moves).toBeGreaterThan(10)
  expect(allowedCpus()).toEqual(cpus)
})

testIf(several, 'it stays while as many others want to run as there are CPUs', () => {
  expect(leaveCpu(() => cpus.length + 1)).toBe(false)
  expect(allowedCpus()).toEqual(cpus)
})

test('it stays where it was told to', () => {
  pinThread([currentCpu()])
  const [only] = allowedCpus()
  expect(leaveCpu(() => 1)).toBe(false)
  expect(allowedCpus()).toEqual([only])
})

testIf(several, 'it looks once a millisecond', () => {
  const begin = performance.now()
  for (let looks = 0; looks < 5;) leaveCpu(() => (looks++, Infinity))
  expect(performance.now() - begin).toBeGreaterThanOrEqual(4)
})
