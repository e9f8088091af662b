/** What a worker waits for while it rehearses (warm-up.ts): the same as at its queues, and nothing of it leads to a device. */
import { Sleeper, type Waited } from '../engine/sleeper.ts'
import type { PollMode } from '../engine/types.ts'
import { currentCpu, forgetCpus, pretendScarce, rehearseLeaving } from '../linux/affinity.ts'
import { close, createEventFd, drainEventFd, signalEventFd } from '../linux/file.ts'
import { DeviceEnd, DriverEnd, HANDOVER_BYTES } from '../linux/handover.ts'
import { mmap, munmap, viewOf } from '../linux/mapping.ts'

/** Turns, and polls that find nothing in each: longer than a worker's patience, but in each fourth, which ends when it is about to sleep. */
const TURNS = 24
const POLLS = 50
const FEW_POLLS = 32
/** In these nobody wakes a worker that sleeps, so that it does by itself; in the last nothing is in a hurry. */
const UNWOKEN = [12, 20]
const LAZY = TURNS - 2
/** The counter of an eventfd is full after the first of these: both a device that hears and one that is deaf are called. */
const CALL = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)

export class StandInWaits {
  /** In place of the worker's own. */
  readonly queues: readonly Waited[]
  private readonly page = mmap(HANDOVER_BYTES)
  private readonly device = new DeviceEnd(viewOf(this.page, HANDOVER_BYTES), this.page, 0)
  private readonly call = createEventFd()
  private readonly interrupts: readonly number[]

  constructor(queues: readonly Waited[]) {
    this.queues = queues.map(({ interrupt, interruptStays = false, handover = null }, queue) => ({
      interrupt: interrupt === null ? null : createEventFd(),
      interruptStays,
      handover: handover === null ? null : { page: this.page, call: { fd: this.call, message: CALL }, queue },
    }))
    this.interrupts = this.queues.flatMap(({ interrupt }) => interrupt ?? [])
  }

  /** Has a worker's rests of all kinds, so many of each that V8 knows them before it compiles them. */
  rehearse(mode: PollMode): void {
    rehearseLeaving()
    this.rehearseCalls()
    const sleeper = new Sleeper(this.queues, mode, true)
    for (let turn = 0; turn < TURNS; turn++) {
      if (turn === LAZY) sleeper.beLazy()
      const polls = turn % 4 === 3 ? FEW_POLLS : POLLS
      for (let poll = 0; poll < polls; poll++) {
        this.play(turn)
        // More than one function of each kind, as V8 would rely on a single one.
        if ((poll & 1) === 0)
          sleeper.idle(
            () => 0,
            () => undefined,
          )
        else
          sleeper.idle(
            () => 0,
            () => undefined,
          )
      }
      sleeper.busy()
    }
  }

  /** What a rest is made of, as it ends now and then: on another CPU than before, woken or not, with an interrupt that has come or none. */
  private rehearseCalls(): void {
    const { device, interrupts } = this
    const handovers = this.queues.flatMap(({ handover }) => handover ?? [])
    const end = new DriverEnd(handovers)
    for (let turn = 0; turn < TURNS; turn++) {
      for (const interrupt of interrupts) {
        if ((turn & 1) === 0) signalEventFd(interrupt)
        drainEventFd(interrupt)
      }
      if (handovers.length === 0) continue
      end.announce(turn & 1)
      end.arm()
      if ((turn & 1) === 0) device.polled(1)
      end.sleep(0)
    }
  }

  /** To be called between two polls that find nothing. The device, on the worker's CPU, runs, sleeps or rests, one `turn` after the other. */
  play(turn: number): void {
    const { device } = this
    pretendScarce(((turn >> 2) & 1) === 1)
    if (turn % 4 === 1) device.arm()
    else if (turn % 4 === 2) device.rest()
    else device.announce(currentCpu())
    if (UNWOKEN.includes(turn)) return
    for (const interrupt of this.interrupts) signalEventFd(interrupt)
    device.polled(1)
    device.polled(0)
  }

  close(): void {
    forgetCpus()
    munmap(this.page, HANDOVER_BYTES)
    for (const fd of [this.call, ...this.interrupts]) close(fd)
  }
}
