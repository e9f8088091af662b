/**
 * Two threads that take turns, the device's end here, the driver's in driver.ts: each may only go on when the other has, and
 * sleeps for long when it can't. One wake-up that gets lost would leave both asleep.
 */
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { createSealedMemfd } from '../../../src/linux/file.ts'
import { WordSet } from '../../../src/linux/futex.ts'
import { DeviceEnd, HANDOVER_BYTES, WAKE_ME } from '../../../src/linux/handover.ts'
import { mmap, viewOf } from '../../../src/linux/mapping.ts'

const rounds = Number(process.env['IXY_TURNS'])
const PATIENCE = 900

const fd = createSealedMemfd('ixy-test-handover', HANDOVER_BYTES)
const [here, there] = [mmap(HANDOVER_BYTES, { fd }), mmap(HANDOVER_BYTES, { fd })]
// As rings are: one writes one word, the other the other one.
const turns = new SharedArrayBuffer(128)
const words = new Int32Array(turns)
const [OURS, THEIRS] = [0, 16]
const end = new DeviceEnd(viewOf(here, HANDOVER_BYTES), here, 0)
const bed = new WordSet([end.bed], WAKE_ME)
const worker = new Worker(path.join(__dirname, 'driver.cjs'), {
  workerData: { page: there, turns, rounds, patience: PATIENCE },
})

/** Rings without looking whether that is needed, as the device after each poll. */
function poll(): number {
  const done = words[OURS]
  if (words[THEIRS] <= done) return 0
  words[OURS] = done + 1
  return 1
}

let sleeps = 0
let lost = 0
let empty = 0
function play(): void {
  while (words[OURS] < rounds) {
    const work = poll()
    end.polled(work)
    if (work > 0) {
      empty = 0
      continue
    }
    // Differently long, so that the partner's ring falls into every place between here and the sleep.
    if (++empty <= words[OURS] % 40) continue
    end.announce(0)
    end.arm()
    const late = poll()
    end.polled(late)
    if (late === 0) {
      sleeps++
      const woken = bed.wait(PATIENCE)
      if (!woken && words[THEIRS] > words[OURS]) lost++
    }
    end.rise()
    empty = 0
  }
}
worker.once('message', () => {
  end.announce(0)
  play()
  worker.once('message', (theirs: { sleeps: number; lost: number }) => {
    console.log(JSON.stringify({ rounds: words[OURS], sleeps, lost, theirs }))
  })
})
