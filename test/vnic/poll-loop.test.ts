import { close, createEventFd, drainEventFd, signalEventFd } from '../../src/linux/file.ts'
import { DeviceEnd, HANDOVER_BYTES } from '../../src/linux/handover.ts'
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

describe('a NIC whose host wakes it', () => {
  const [ASLEEP, RESTS, CPU_OF_QUEUE_0] = [0, 2, 17]
  const words = new Int32Array(HANDOVER_BYTES / 4)

  beforeEach(() => {
    words.fill(0)
    words[CPU_OF_QUEUE_0] = 100
    nic.sharedDoorbells = true
    nic.handover = new DeviceEnd(words.buffer, 0n, 0)
  })

  test('is asked no more often than any other', async () => {
    const start = performance.now()
    await runUntil(() => performance.now() - start > 400)
    expect(nic.polls.filter((at) => at > start + 100).length).toBeLessThan(60)
  })

  test('is asked once more when it has said that it sleeps', async () => {
    let sleeps = 0
    let asked = 0
    nic.onPoll = () => {
      if (words[ASLEEP] === RESTS) asked++
      if (nic.wakes > sleeps) {
        // Awake it says something else.
        expect([words[ASLEEP], asked > 0]).toEqual([0, true])
        sleeps = nic.wakes
        asked = 0
      }
      return 0
    }
    await runUntil(() => sleeps >= 4)
  })

  test('is at work at once when it finds something then', async () => {
    let found = 0
    nic.onPoll = () => {
      if (words[ASLEEP] !== RESTS) return 0
      found++
      return 1
    }
    await runUntil(() => found >= 3)
    expect(nic.wakes).toBe(0)
  })
})

test('orders end a sleep', async () => {
  const orders = createEventFd()
  let taken = 0
  let given = 0
  const timer = setInterval(() => {
    if (drainEventFd(orders)) taken++
    if (nic.wakes <= given) return
    given = nic.wakes
    signalEventFd(orders)
  })
  const start = performance.now()
  nic.onPoll = (now) => {
    if (taken >= 20 || now > start + 2000) stop.abort()
    return 0
  }
  await runLoop([nic], stop.signal, orders)
  clearInterval(timer)
  close(orders)
  expect(taken).toBeGreaterThanOrEqual(20)
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
