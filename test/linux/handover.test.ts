import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import path from 'node:path'
import { Sleeper } from '../../src/engine/sleeper.ts'
import { allowedCpus, currentCpu, forgetCpus, pinThread, pretendScarce } from '../../src/linux/affinity.ts'
import { close, createEventFd, createSealedMemfd, drainEventFd } from '../../src/linux/file.ts'
import { canWaitForWords, WordSet } from '../../src/linux/futex.ts'
import {
  DeviceEnd,
  DriverEnd,
  HANDOVER_BYTES,
  type HandoverPlace,
  LONGEST,
  WAKE_ME,
} from '../../src/linux/handover.ts'
import { mmap, munmap, viewOf } from '../../src/linux/mapping.ts'
import { testIf } from '../skip.ts'

const reason = canWaitForWords() ? null : 'needs Linux 5.16 (futex_waitv)'
function check(title: string, body: () => void, timeout?: number): void {
  testIf(reason, title, body, timeout)
}
/** Of linux/handover.ts. */
const ASLEEP_OF_QUEUE_0 = 16
const CPU_OF_QUEUE_0 = 17
const root = path.join(__dirname, '..', '..')

let pages: [bigint, bigint]
/** What a resting device would read its messages from; this one takes the number 1. */
let bell: number
let place: HandoverPlace
let device: DeviceEnd
let driver: DriverEnd
let cpus: number[]

beforeEach(() => {
  // This thread is both ends: it must not be moved to another CPU between two calls.
  cpus = allowedCpus()
  pinThread([currentCpu()])
  const fd = createSealedMemfd('ixy-test-handover', HANDOVER_BYTES)
  pages = [mmap(HANDOVER_BYTES, { fd }), mmap(HANDOVER_BYTES, { fd })]
  close(fd)
  device = new DeviceEnd(viewOf(pages[0], HANDOVER_BYTES), pages[0], 0)
  bell = createEventFd()
  place = { page: pages[1], call: { fd: bell, message: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } }
  driver = new DriverEnd([{ ...place, queue: 0 }])
})
afterEach(() => {
  pinThread(cpus)
  for (const page of pages) munmap(page, HANDOVER_BYTES)
  close(bell)
})

/** Milliseconds that `action` takes. */
function time(action: () => void): number {
  const begin = performance.now()
  action()
  return performance.now() - begin
}

const long = (): boolean => new WordSet([device.bed], WAKE_ME).wait(900)

check('a wait ends when its time is over, or at once if the word says something else', () => {
  device.arm()
  expect(time(() => expect(new WordSet([device.bed], WAKE_ME).wait(20)).toBe(false))).toBeGreaterThanOrEqual(
    20,
  )
  device.rise()
  expect(long()).toBe(true)
})

check('each end knows whether the other would run on its CPU if it could', () => {
  const cpu = currentCpu()
  expect(device.announce(cpu)).toBe(false)
  expect(driver.announce()).toBe(true)
  expect(device.announce(cpu)).toBe(true)
  driver.arm()
  expect(device.announce(cpu)).toBe(false)
  driver.disarm()
  expect(device.announce(cpu + 1)).toBe(false)
  expect(driver.announce()).toBe(false)
  device.announce(cpu)
  device.rest()
  expect(driver.announce()).toBe(false)
  device.rise()
  expect(driver.announce()).toBe(true)
})

check('who has rung finds the other awake, and a sleep after that is none', () => {
  device.arm()
  driver.ring()
  expect(long()).toBe(true)
  driver.announce()
  driver.arm()
  device.polled(1)
  expect(driver.sleep(900)).toBe(true)
})

check(
  'a device that has done nothing wakes nobody; one on the CPU of the worker does so when it is done',
  () => {
    driver.announce()
    driver.arm()
    device.polled(0)
    expect(driver.sleep()).toBe(false)
    device.announce(currentCpu())
    driver.arm()
    device.polled(1)
    expect(driver.sleep()).toBe(false)
    driver.arm()
    device.polled(1)
    device.polled(0)
    expect(driver.sleep(900)).toBe(true)
  },
)

check('a device that rests is called once, one that is awake or sleeps on its word never', () => {
  const called = (): boolean => {
    driver.ring()
    return drainEventFd(bell)
  }
  expect(called()).toBe(false)
  device.arm()
  expect(called()).toBe(false)
  device.rest()
  expect(called()).toBe(true)
  expect(called()).toBe(false)
  device.rise()
  device.rest()
  expect(called()).toBe(true)
})

check('a device that has gone harms nobody who calls it', () => {
  const gone = new DriverEnd([{ ...place, call: { ...place.call, fd: -1 }, queue: 0 }])
  device.rest()
  expect(() => gone.ring()).not.toThrow()
})

check('what one client has left is not there for the next', () => {
  driver.announce()
  driver.arm()
  device.announce(3)
  device.clear()
  expect(new Int32Array(viewOf(pages[1], HANDOVER_BYTES)).some((word) => word !== 0)).toBe(false)
})

describe('a worker', () => {
  const never = (): number => 0
  const nothing = (): void => undefined
  const sleeper = (mode: 'poll' | 'adaptive', interrupt: number | null = null): Sleeper =>
    new Sleeper([{ interrupt, handover: { ...place, queue: 0 } }], mode)
  const polls = (one: Sleeper, count: number): number =>
    time(() => {
      for (let i = 0; i < count; i++) one.idle(never, nothing)
    })

  afterEach(forgetCpus)

  check('sleeps while a device on its CPU would run, and others too, but never long: it may be dead', () => {
    pretendScarce(true)
    const one = sleeper('poll')
    device.announce(currentCpu())
    const took = polls(one, 330)
    // Ten times, each after some thirty polls.
    expect(took).toBeGreaterThanOrEqual(9 * LONGEST)
  })

  /** How many of 5000 polls that find nothing it ends about to sleep. */
  const armed = (): number => {
    const one = sleeper('poll')
    const words = new Int32Array(viewOf(pages[0], HANDOVER_BYTES))
    let sum = 0
    for (let i = 0; i < 5000; i++) {
      one.idle(never, nothing)
      sum += words[ASLEEP_OF_QUEUE_0]
    }
    return sum
  }

  check(
    'polls on while a device is elsewhere, unless others want its CPU: then it sleeps when its patience is at an end',
    () => {
      device.announce(currentCpu() + 1)
      pretendScarce(false)
      expect(armed()).toBe(0)
      pretendScarce(true)
      expect(armed()).toBe(2)
    },
  )

  check('that always finds something tells where it is all the same', () => {
    const one = sleeper('poll')
    const words = new Int32Array(viewOf(pages[0], HANDOVER_BYTES))
    for (let i = 0; i < 1024; i++) one.busy()
    expect(words[CPU_OF_QUEUE_0]).toBe(currentCpu() + 1)
  })

  check('wakes a device once for what it has moved, whatever its mode', () => {
    for (const mode of ['poll', 'adaptive'] as const) {
      const one = sleeper(mode)
      one.busy()
      device.arm()
      one.idle(never, nothing)
      expect(long()).toBe(true)
      device.arm()
      one.idle(never, nothing)
      expect(new WordSet([device.bed], WAKE_ME).wait(1)).toBe(false)
    }
  })

  check('in mode adaptive goes on to sleep for long when nothing comes', () => {
    const eventfd = createEventFd()
    const one = sleeper('adaptive', eventfd)
    device.announce(currentCpu())
    let slept = 0
    for (let i = 0; i < 200 && slept === 0; i++) one.idle(never, () => slept++)
    close(eventfd)
    expect(slept).toBe(1)
  })
})

check(
  'no wake-up is lost between two threads',
  () => {
    // Below node_modules, where the bundle finds koffi.
    const bundle = path.join(root, `node_modules/.cache/ixy-ts-turns-${process.pid}`)
    const files = ['turns.ts', 'driver.ts'].map((file) => path.join(__dirname, 'handover', file))
    try {
      execFileSync(process.execPath, ['build.mjs', ...files], {
        cwd: root,
        env: { ...process.env, OUTDIR: bundle },
      })
      const rounds = 20_000
      const output = execFileSync(process.execPath, [path.join(bundle, 'turns.cjs')], {
        encoding: 'utf8',
        env: { ...process.env, IXY_TURNS: String(rounds) },
      })
      const { theirs, ...ours } = JSON.parse(output) as Record<'rounds' | 'sleeps' | 'lost', number> & {
        theirs: Record<'sleeps' | 'lost', number>
      }
      expect({ rounds: ours.rounds, lost: [ours.lost, theirs.lost] }).toEqual({ rounds, lost: [0, 0] })
      // They did sleep.
      expect(Math.min(ours.sleeps, theirs.sleeps)).toBeGreaterThan(100)
    } finally {
      rmSync(bundle, { recursive: true, force: true })
    }
  },
  120_000,
)
