import { rfc2544 } from '../../../src/apps/rfc2544/app.ts'
import { Bench, Stopped, type TrialCounts, type TrialOrder } from '../../../src/apps/rfc2544/bench.ts'
import { Board } from '../../../src/apps/rfc2544/board.ts'
import type { Rfc2544Job, Rfc2544Options } from '../../../src/apps/rfc2544/options.ts'
import type { App, DroppedBy, Plan, PlanContext } from '../../../src/engine/app.ts'
import { FakeRun } from '../../examples/fake-ports.ts'

/** Frames out of port 0 and out of port 1: what comes in where. */
type Wiring = (from: number, frame: Buffer) => readonly { readonly port: number; readonly frame: Buffer }[]

const OPTIONS: Rfc2544Options = {
  tests: ['throughput'],
  frameSizes: [64, 1518],
  durations: { trial: 1, short: 1, sum: 1, latency: 1, latencyTrials: 1, bursts: 1, drain: 0.05, settle: 0 },
  ...{ maxLoad: null, precision: 0.01, pdrLoss: 0.005, bidirectional: false, srcMac: null, dstMac: null },
  json: false,
}

/** A worker whose ports are wired like that, and the bench in front of it. */
class Rig {
  readonly stop = new AbortController()
  readonly bench: Bench
  dropped: DroppedBy[] = [{ index: 0, queue: null, dropped: { missed: 5, crc: 0 } }]
  readonly sent: Buffer[] = []
  /** Packets that the steps say to have moved. */
  moved = 0
  private readonly pump: NodeJS.Timeout

  constructor(devices: number, wiring: Wiring) {
    const context = {
      ...{ devices: Array.from({ length: devices }, () => 'tap:x'), physical: [], queues: 1, mtu: 1500 },
      ...{ log: () => undefined, print: () => true, stop: this.stop.signal },
    } satisfies PlanContext
    const plan = rfc2544.plan?.(OPTIONS, context) as Plan<Rfc2544Job>
    const [job] = plan.jobs(context.devices.map(() => 0))
    const run = new FakeRun(rfc2544 as unknown as App<never, never>, devices, job)
    this.bench = new Bench(new Board(job.board), () => this.dropped, 0.05, this.stop.signal)
    this.pump = setInterval(() => {
      for (let i = 0; i < 20; i++) {
        this.moved += run.steps.step()
        run.ports.forEach((port, from) => {
          for (const frame of port.sent.splice(0)) {
            this.sent.push(frame)
            for (const out of wiring(from, frame)) run.ports[out.port].incoming.push(out.frame)
          }
        })
      }
    }, 1)
  }

  run(order: Partial<TrialOrder>): Promise<TrialCounts> {
    return this.bench.run({ size: 0, load: 100_000, count: 300, lanes: 1, ...order })
  }

  close(): void {
    clearInterval(this.pump)
  }
}

let rig: Rig
afterEach(() => rig.close())

const across: Wiring = (from, frame) => [{ port: 1 - from, frame }]

test('every frame is sent and counted once, trial by trial, of the size that is asked for', async () => {
  rig = new Rig(1, (_, frame) => [{ port: 0, frame }])
  for (const [size, bytes] of [60, 1514, 60].entries()) {
    rig.sent.length = 0
    rig.moved = 0
    const counts = await rig.run({ size: size % 2 })
    expect(counts).toMatchObject({ sent: 300, received: 300, lost: 0, duplicated: 0, damaged: 0, foreign: 0 })
    expect(counts.latency?.count).toBe(300)
    expect(rig.moved).toBe(600)
    expect(counts.droppedHere).toEqual({})
    expect(new Set(rig.sent.map(({ length }) => length))).toEqual(new Set([bytes]))
  }
})

test('what is lost, copied, changed, or somebody else’s is told apart', async () => {
  let number = 0
  rig = new Rig(1, (_, frame) => {
    const other = Buffer.alloc(80, 1)
    const changed = Buffer.from(frame)
    changed[20] ^= 1
    const outs = [[], [frame, frame], [changed], [frame, other]][number++ % 4]
    return outs.map((one) => ({ port: 0, frame: one }))
  })
  const counts = await rig.run({})
  expect(counts).toMatchObject({
    sent: 300,
    received: 150,
    lost: 150,
    duplicated: 75,
    damaged: 75,
    foreign: 75,
  })
})

test('frames of another trial, or of the other direction, don’t count', async () => {
  const late: Buffer[] = []
  rig = new Rig(2, (from, frame) => {
    late.push(frame)
    // Back to where it came from as well, as a bridge does that doesn't know better; and some of the trial before.
    return [
      { port: 1 - from, frame },
      { port: from, frame },
      ...(late.length > 300 ? [{ port: 1 - from, frame: late[late.length - 301] }] : []),
    ]
  })
  expect(await rig.run({})).toMatchObject({ sent: 300, received: 300, damaged: 0, foreign: 300 })
  expect(await rig.run({ count: 200 })).toMatchObject({ sent: 200, received: 200, damaged: 0, foreign: 400 })
  const both = await rig.run({ lanes: 3, count: 100 })
  expect(both).toMatchObject({ sent: 200, received: 200, lost: 0, damaged: 0, foreign: 400 })
})

test('each direction has the addresses of its device, and learning says where it is', async () => {
  rig = new Rig(2, across)
  await rig.bench.learn(0)
  const sources = rig.sent.map((frame) => frame.toString('hex', 0, 12))
  expect(new Set(sources)).toEqual(new Set(['026978790002026978790001', '026978790001026978790002']))
  expect(sources).toHaveLength(6)
})

test('what this end drops meanwhile is told, by cause', async () => {
  rig = new Rig(1, (_, frame) => {
    rig.dropped = [
      { index: 0, queue: null, dropped: { missed: 7, crc: 9 } },
      { index: 0, queue: 0, dropped: { missed: 7 } },
      { index: 1, queue: null, dropped: { missed: 4 } },
    ]
    return [{ port: 0, frame }]
  })
  expect((await rig.run({})).droppedHere).toEqual({ missed: 6 })
})

test('a trial ends when it is halted, and with a signal', async () => {
  rig = new Rig(1, (_, frame) => [{ port: 0, frame }])
  const order = { size: 0, load: 10_000, count: 1e6, lanes: 1 }
  const counts = await rig.bench.run(order, () => Promise.resolve(rig.bench.halt()))
  expect(counts.sent).toBeLessThan(1e5)
  expect(counts.lost).toBe(0)
  const under = rig.run({ load: 10, count: 1000 })
  rig.stop.abort()
  await expect(under).rejects.toThrow(Stopped)
})
