import { close, createEventFd, drainEventFd, signalEventFd } from '../../src/linux/file.ts'
import type { DeviceEnd } from '../../src/linux/handover.ts'
import { type Pollable, runLoop } from '../../src/vnic/poll-loop.ts'

/** A NIC that has nothing to do unless it is told, and remembers when it was asked. */
class FakeNic implements Pollable {
  generation = 0
  sharedDoorbells = false
  handover: DeviceEnd | null = null
  alone = true
  lastMoved = 0
  readonly polls: number[] = []
  next = Infinity
  wakes = 0
  wakeFds: number[] = []
  onPoll: (now: number) => number = () => 0

  poll(now: number): number {
    this.polls.push(now)
    return this.onPoll(now)
  }
  nextEvent(): number {
    return this.next
  }
  fds(): number[] {
    return this.wakeFds
  }
  wake(): void {
    this.wakes++
  }
}

let nic: FakeNic
let stop: AbortController

beforeEach(() => {
  nic = new FakeNic()
  stop = new AbortController()
})

/** Runs the loop until `condition` holds; fails after two seconds. */
async function runUntil(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 2000
  const inner = nic.onPoll
  nic.onPoll = (now) => {
    if (condition() || now > deadline) stop.abort()
    return inner(now)
  }
  await runLoop([nic], stop.signal)
  expect(condition()).toBe(true)
}

test('an idle NIC is asked some dozen times a second, not more', async () => {
  const start = performance.now()
  await runUntil(() => performance.now() - start > 300)
  // Before it first sleeps it is asked without pause.
  const late = nic.polls.filter((at) => at > start + 100)
  expect(late.length).toBeGreaterThan(2)
  expect(late.length).toBeLessThan(60)
})

test('a NIC whose host rings without a sound is asked more often, the more the shorter it was idle', async () => {
  nic.sharedDoorbells = true
  const start = performance.now()
  await runUntil(() => performance.now() - start > 400)
  const [first, last] = [0, 300].map(
    (from) => nic.polls.filter((at) => at >= start + from && at < start + from + 100).length,
  )
  expect(first).toBeGreaterThan(last)
  expect(last).toBeGreaterThan(3)
})

test('a busy NIC is polled without pause, and the event loop has its turns', async () => {
  nic.onPoll = () => 1
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const start = performance.now()
  await runUntil(() => performance.now() - start > 200)
  clearInterval(timer)
  expect(nic.polls.length).toBeGreaterThan(1000)
  expect(nic.wakes).toBe(0)
  expect(turns).toBeGreaterThan(20)
})

test('a descriptor that becomes readable ends the sleep', async () => {
  const fd = createEventFd()
  nic.wakeFds = [fd]
  let woken = 0
  nic.onPoll = () => {
    if (!drainEventFd(fd)) return 0
    woken++
    return 1
  }
  // Rings while the loop sleeps: from a timer, which runs between two sleeps, before the next one.
  const timer = setInterval(() => signalEventFd(fd), 30)
  await runUntil(() => woken >= 3)
  clearInterval(timer)
  close(fd)
})

test('descriptors are asked for again when the generation has changed', async () => {
  const fd = createEventFd()
  signalEventFd(fd)
  const start = performance.now()
  nic.onPoll = () => {
    if (nic.polls.length === 20) {
      nic.wakeFds = [fd]
      nic.generation++
    }
    return 0
  }
  // A readable descriptor in the set makes every sleep end at once.
  await runUntil(() => nic.wakes > 50)
  expect(performance.now() - start).toBeLessThan(1500)
  close(fd)
})

test('what is due ends the sleep as well', async () => {
  const due: number[] = []
  nic.next = performance.now() + 7
  nic.onPoll = (now) => {
    if (now < nic.next) return 0
    due.push(now - nic.next)
    nic.next += 7
    return 1
  }
  await runUntil(() => due.length >= 20)
  // Never asleep when it is due; the rest is the scheduler's.
  expect(due.sort((a, b) => a - b)[10]).toBeLessThan(15)
})

test('what a NIC throws ends the loop', async () => {
  nic.onPoll = () => {
    throw new Error('out of order')
  }
  await expect(runLoop([nic], stop.signal)).rejects.toThrow('out of order')
})
