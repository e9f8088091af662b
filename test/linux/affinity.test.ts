import {
  allowedCpus,
  cpusAreScarce,
  currentCpu,
  forgetCpus,
  giveWay,
  leaveCpu,
  pinThread,
  runnableThreads,
} from '../../src/linux/affinity.ts'
import { spawn } from 'node:child_process'
import { testIf } from '../skip.ts'

const cpus = allowedCpus()
const several = cpus.length > 1 ? null : 'needs two CPUs'
afterEach(() => pinThread(cpus))
beforeEach(forgetCpus)

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

test('it looks once a millisecond while a CPU is idle, and less often while none is', () => {
  const idle = performance.now()
  for (let looks = 0; looks < 5;) expect(cpusAreScarce(() => (looks++, 1))).toBe(false)
  expect(performance.now() - idle).toBeGreaterThanOrEqual(4)
  const busy = performance.now()
  for (let looks = 0; looks < 3;) cpusAreScarce(() => (looks++, Infinity))
  expect(performance.now() - busy).toBeGreaterThanOrEqual(20)
  expect(cpusAreScarce(() => 0)).toBe(true)
})

testIf(
  several,
  'a thread gives way to one that takes turns with it, and goes elsewhere if others want its CPU as well',
  async () => {
    pinThread([currentCpu()])
    expect(giveWay(true)).toBe(true)
    expect(allowedCpus()).toHaveLength(1)
    // Two more here, each of which takes its whole time slice.
    const code = 'const end = Date.now() + 10_000; while (Date.now() < end);'
    const loops = [0, 1].map(() => spawn(process.execPath, ['-e', code], { stdio: 'ignore' }))
    try {
      const deadline = performance.now() + 10_000
      while (giveWay(true) && performance.now() < deadline)
        await new Promise((resolve) => setImmediate(resolve))
      expect(giveWay(true)).toBe(false)
    } finally {
      for (const loop of loops) loop.kill('SIGKILL')
    }
  },
)
