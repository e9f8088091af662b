import { Sleeper } from '../../src/engine/sleeper.ts'
import { close, createEventFd, drainEventFd, signalEventFd } from '../../src/linux/file.ts'

let eventfd: number
beforeEach(() => (eventfd = createEventFd()))
afterEach(() => close(eventfd))

/** Empty polls until it sleeps, which it does for the `sleeps`th time; how often the rings were polled before each sleep. */
function pollsBefore(sleeper: Sleeper, sleeps: number, pending = 1): number[] {
  const polls: number[] = []
  let since = 0
  while (polls.length < sleeps) {
    since++
    sleeper.idle(
      () => pending,
      () => {
        polls.push(since)
        since = 0
      },
    )
  }
  return polls
}

test('interrupt: the eventfds are cleared, the rings are polled once more, then it sleeps', () => {
  const sleeper = new Sleeper([{ interrupt: eventfd }], 'interrupt')
  signalEventFd(eventfd)
  sleeper.idle(
    () => 0,
    () => undefined,
  )
  // Nothing is left of the signal, so it was cleared before that poll.
  expect(drainEventFd(eventfd)).toBe(false)
  // The first idle() has been called; then every empty poll is a sleep.
  expect(pollsBefore(sleeper, 3)).toEqual([1, 1, 1])
})

test('a packet that comes between the last poll and the sleep wakes it, and it stays awake', () => {
  const sleeper = new Sleeper([{ interrupt: eventfd }], 'interrupt')
  const never = (): void => undefined
  sleeper.idle(() => 0, never)
  signalEventFd(eventfd)
  const begin = performance.now()
  sleeper.idle(() => 0, never)
  expect(performance.now() - begin).toBeLessThan(150)
  // Cleared again before it next sleeps: two polls.
  expect(pollsBefore(sleeper, 1)).toEqual([2])
})

test('adaptive: it polls some thousand times first, anew after each packet', () => {
  const sleeper = new Sleeper([{ interrupt: eventfd }], 'adaptive')
  const [first] = pollsBefore(sleeper, 1)
  expect(first).toBeGreaterThan(1000)
  sleeper.busy()
  expect(pollsBefore(sleeper, 1)).toEqual([first])
})

test('poll: it never sleeps', () => {
  const sleeper = new Sleeper([{ interrupt: eventfd }], 'poll')
  const asleep = jest.fn()
  for (let i = 0; i < 10_000; i++) sleeper.idle(() => 0, asleep)
  expect(asleep).not.toHaveBeenCalled()
  // But when nothing is in a hurry any more: once its patience is at an end, before each poll, until something moves.
  sleeper.beLazy()
  const [first, ...more] = pollsBefore(sleeper, 3)
  expect([first > 1000, more]).toEqual([true, [1, 1]])
  sleeper.busy()
  expect(pollsBefore(sleeper, 1)[0]).toBeGreaterThan(1000)
})

test('what is readable while packets wait is left alone, and wakes at once', () => {
  signalEventFd(eventfd)
  const sleeper = new Sleeper([{ interrupt: eventfd, interruptStays: true }], 'interrupt')
  const start = performance.now()
  for (let poll = 0; poll < 10; poll++)
    sleeper.idle(
      () => 0,
      () => undefined,
    )
  expect(performance.now() - start).toBeLessThan(100)
  expect(drainEventFd(eventfd)).toBe(true)
})
