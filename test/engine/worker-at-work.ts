/**
 * A worker that rehearses, then runs, with an app of one table: what its polls find, and what the device that shares its CPU does meanwhile.
 * Run with --trace-deopt: what V8 reports between the two marks on stdout, it did while the worker was at work.
 */
import { writeSync } from 'node:fs'
import koffi from 'koffi'
import { warmUp } from '../../src/apps/warm-up.ts'
import type { QueuePair } from '../../src/driver/queues.ts'
import { DataPlane, DataPort } from '../../src/engine/data-plane.ts'
import { Sleeper } from '../../src/engine/sleeper.ts'
import type { PollMode } from '../../src/engine/types.ts'
import {
  COMMAND,
  COMMAND_RUN,
  COMMAND_SETTLE,
  COMMAND_STOP,
  COMMAND_WAIT,
  CONTROL_BYTES,
  COUNTERS,
  OF_WORKER,
  type WorkerSpec,
} from '../../src/engine/worker-spec.ts'
import { allowInlining } from '../../src/inlining.ts'
import { currentCpu, pinThread } from '../../src/linux/affinity.ts'
import { createEventFd, signalEventFd } from '../../src/linux/file.ts'
import { HANDOVER_BYTES } from '../../src/linux/handover.ts'
import { mmap, viewOf } from '../../src/linux/mapping.ts'

const MARK = '=== at work ==='
const flush = koffi.load(null).func('int fflush(void *stream)')

/** V8 prints through the C library's buffers. */
function mark(): void {
  flush(null)
  writeSync(1, `${MARK}\n`)
}

/** Of linux/handover.ts: words of the device, and of the worker. */
const [DEVICE_ASLEEP, DEVICE_CPU, ASLEEP] = [0, 1, 16]
const BATCH = 32
/** Polls of the table: those of a run, then those of its end, which are more than a worker's patience. */
const RUN = 4096
const POLLS = RUN + 2048 + 6
/** Polls that find something and then so many that don't, in turns. */
const [LOADED, TURN] = [40, 110]

const page = mmap(HANDOVER_BYTES)
const words = new Int32Array(viewOf(page, HANDOVER_BYTES))
const call = { fd: createEventFd(), message: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }
const interrupt = createEventFd()
const control = new SharedArrayBuffer(CONTROL_BYTES)
const orders = new Int32Array(control)
const counters = new SharedArrayBuffer((COUNTERS + OF_WORKER) * 8)
const counts = { packets: 0, bytes: 0 }

/** Of each poll: what it finds, what the device has been doing, whether the worker stays asleep if it is, and the order. */
const moves = new Int32Array(POLLS)
const doing = new Int32Array(POLLS)
const stays = new Int32Array(POLLS)
const order = new Int32Array(POLLS).fill(COMMAND_RUN)
for (let poll = 0; poll < POLLS; poll++) {
  const turn = Math.floor(poll / TURN)
  if (poll < RUN && poll % TURN < LOADED) moves[poll] = BATCH
  // It runs in half of the turns, sleeps in the others, or rests.
  doing[poll] = turn % 2 === 0 ? 0 : 1 + ((turn >> 1) & 1)
  stays[poll] = turn % 4 === 0 ? -1 : 0
  if (poll >= RUN) order[poll] = COMMAND_SETTLE
}
order[POLLS - 1] = COMMAND_STOP

let at = 0
let last = 0
/** What the card of the rehearsal has received. */
const received = new Int32Array(1)

/** Without a branch: what V8 has not seen of the app is no matter here. */
function step(): number {
  words[DEVICE_ASLEEP] = doing[at]
  words[ASLEEP] &= stays[at]
  orders[COMMAND] = order[at]
  // Or it would sleep for long in mode adaptive.
  signalEventFd(interrupt)
  const moved = moves[at] + received[0]
  received[0] = 0
  counts.packets += moved
  at = Math.min(at + 1, last)
  return moved
}

const pair: QueuePair = {
  rx: { packets: 0, bytes: 0, poolEmpty: 0, fragments: 0, badLength: 0, receive: () => 0, untaken: () => 0 },
  tx: {
    get packets() {
      return counts.packets
    },
    bytes: 0,
    transmit: () => 0,
    room: () => 0,
    pending: () => 0,
  },
  headerBytes: 0,
  start: () => undefined,
  rehearse: () => ({ transmit: () => undefined, receive: (packets) => void (received[0] = packets) }),
}

const [mode] = process.argv.slice(2)
const spec = {
  control,
  counters,
  batchSize: BATCH,
  mode: mode as PollMode,
  ports: [{ driver: '', interrupt, handover: { page, call, queue: 0 } }],
}
allowInlining()
pinThread([currentCpu()])
const found = [moves.slice(), order.slice()]
moves.fill(0)
order.fill(COMMAND_WAIT)
warmUp(spec as unknown as WorkerSpec, [pair], { step })
moves.set(found[0])
order.set(found[1])
counts.packets = 0
last = POLLS - 1
words[DEVICE_CPU] = currentCpu() + 1
orders[COMMAND] = COMMAND_RUN
const sleeper = new Sleeper(spec.ports, spec.mode)
const plane = new DataPlane(spec, [new DataPort(pair.rx, pair.tx)], { step }, () => undefined, { sleeper })
mark()
plane.run()
mark()
writeSync(1, `moved ${counts.packets}\n`)
