/** The driver's end of turns.ts: it begins, and each turn is answered. */
import { parentPort, workerData } from 'node:worker_threads'
import { DriverEnd } from '../../../src/linux/handover.ts'

const { page, turns, rounds, patience } = workerData as {
  page: bigint
  turns: SharedArrayBuffer
  rounds: number
  patience: number
}
const words = new Int32Array(turns)
const [THEIRS, OURS] = [0, 16]
const end = new DriverEnd([{ page, queue: 0, call: { fd: -1, message: new Uint8Array(1) } }])

/** True if it was this one's turn. */
function step(): boolean {
  const done = words[OURS]
  if (words[THEIRS] < done) return false
  words[OURS] = done + 1
  return true
}

let sleeps = 0
let lost = 0
let empty = 0
end.announce()
parentPort?.postMessage('ready')
while (words[OURS] < rounds) {
  if (step()) {
    end.disarm()
    end.ring()
    empty = 0
    continue
  }
  if (end.armed) {
    sleeps++
    if (!end.sleep(patience) && words[THEIRS] >= words[OURS]) lost++
    empty = 0
  } else if (++empty > words[OURS] % 70) end.arm()
}
parentPort?.postMessage({ sleeps, lost })
