/**
 * A rehearsal of the loop that runs the NICs (poll-loop.ts), for the reason told in src/apps/warm-up.ts: what it does when there is nothing to do, and
 * what it says to hosts, with a NIC that does what is wanted of it.
 */
import { currentCpu, forgetCpus, pretendScarce, rehearseLeaving } from '../linux/affinity.ts'
import { close, createEventFd, signalEventFd } from '../linux/file.ts'
import { canWaitForWords } from '../linux/futex.ts'
import { DeviceEnd, DriverEnd, HANDOVER_BYTES } from '../linux/handover.ts'
import { mmap, munmap, viewOf } from '../linux/mapping.ts'
import { type Pollable, PollLoop } from './poll-loop.ts'

/** Turns, and how long each may last, ms: V8 notes what a function meets from about its eighth turn on. */
const TURNS = 96
const LONGEST = 0.02
/** For how long there has been nothing to do when a turn begins, ms: short of a doze, and beyond it. */
const IDLE = [0, 1, 10.5]
/** When the NIC has something to do by itself, ms: never, soon, and now. */
const DUE = [Infinity, 0.02, 0]
/** In each so many polls there is work, if there is any. */
const WORKS_EVERY = 7

class StandInNic implements Pollable {
  readonly generation = 0
  sharedDoorbells = true
  readonly handover: DeviceEnd
  alone = true
  readonly lastMoved = 0
  works = false
  rings = false
  due = 0
  private polls = 0
  private readonly host: DriverEnd
  private readonly fd: number

  constructor(handover: DeviceEnd, host: DriverEnd, fd: number) {
    this.handover = handover
    this.host = host
    this.fd = fd
  }

  poll(): number {
    if (this.rings) this.host.ring()
    const work = this.works && ++this.polls % WORKS_EVERY === 0 ? 1 : 0
    this.handover.polled(work)
    return work
  }

  nextEvent(now: number): number {
    return now + this.due
  }

  fds(): number[] {
    return [this.fd]
  }

  wake(): void {
    this.host.ring()
  }
}

/** Takes all ways of the loop. */
export function rehearseLoop(): void {
  if (!canWaitForWords()) return
  const page = mmap(HANDOVER_BYTES)
  // Always ready: no sleep lasts.
  const fd = createEventFd()
  signalEventFd(fd)
  try {
    rehearseLeaving()
    const call = { fd, message: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }
    const host = new DriverEnd([{ page, call, queue: 0 }])
    const nic = new StandInNic(new DeviceEnd(viewOf(page, HANDOVER_BYTES), page, 0), host, fd)
    for (let turn = 0; turn < TURNS; turn++) play(nic, host, turn, fd)
  } finally {
    forgetCpus()
    close(fd)
    munmap(page, HANDOVER_BYTES)
  }
}

function play(nic: StandInNic, host: DriverEnd, turn: number, fd: number): void {
  const now = performance.now()
  pretendScarce((turn & 1) === 0)
  nic.works = (turn & 2) === 0
  nic.rings = (turn & 4) === 0
  nic.alone = (turn & 8) === 0
  nic.due = DUE[turn % 3]
  nic.sharedDoorbells = turn % 16 !== 15
  // It has gone, is elsewhere, here, or asleep. Few turns yield: where others want the CPU, each of those takes long.
  const place = turn % 6
  const here = place === 2 || turn % 12 === 5
  if (place === 0) nic.handover.clear()
  else host.announce(currentCpu() + (here ? 0 : 1))
  if (place === 3) host.arm()
  else host.disarm()
  const loop = new PollLoop([nic], turn % 7 === 0 ? fd : -1, now - IDLE[Math.floor(turn / 3) % 3])
  loop.turn(now + LONGEST)
}
