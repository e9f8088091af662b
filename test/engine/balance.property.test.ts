/**
 * Whatever wires, faults, queues and sizes are combined, and at every moment: each frame has one fate. The number of
 * combinations and the seed can be given: IXY_BALANCE_RUNS, IXY_BALANCE_SEED.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import type { Balance } from '../../src/engine/balance.ts'
import type { FilterProgram } from '../../src/packet/filter/program.ts'
import { pcap } from '../captures/build.ts'
import { SimulatedRun, type SimulatedRunOptions } from './simulated-run.ts'
import { expectWitnessed } from './witnessed.ts'

const RUNS = Number(process.env['IXY_BALANCE_RUNS'] ?? 200)
const SEED = Number(process.env['IXY_BALANCE_SEED'] ?? Date.now() & 0x7fffffff)

let folder: string
let capture: string

beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-balance-'))
  capture = path.join(folder, 'in.pcap')
  // Some too short for a card to send, some too long for a small MTU or the card, some for the MAC itself: PAUSE. Some to everybody or a
  // group, some in a VLAN.
  const pause = [1, 0x80, 0xc2, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x88, 0x08, 0, 1, 0xff, 0xff]
  const packets = Array.from({ length: 500 }, (_, i) => {
    const data = new Uint8Array([20, 60, 61, 300, 1000, 1514, 1519][i % 7]).fill(i)
    if (i % 9 === 3) data.set(pause)
    else if (i % 9 === 4) data.fill(0xff, 0, 6)
    else if (i % 9 === 5) data.set([0x81, 0, 0, 7], 12)
    return { seconds: 1, fraction: i, data }
  })
  writeFileSync(capture, pcap(packets))
})
afterAll(() => rmSync(folder, { recursive: true }))

const chance = fc.constantFrom(0, 0, 0.01, 0.3, 1)

/** `drop=0.3+dup=1+seed=7`, or nothing. */
const fault = fc
  .record({
    drop: chance,
    corrupt: chance,
    dup: chance,
    reorder: chance,
    seed: fc.nat(1000),
    flap: fc.nat(3),
    late: fc.nat(9),
  })
  .map(({ drop, corrupt, dup, reorder, seed, flap, late }) => {
    const parts = [`seed=${seed}`, `corrupt=${corrupt}`, `dup=${dup}`, `reorder=${reorder}`]
    if (drop < 1) parts.push(`drop=${drop}`)
    if (flap === 3) parts.push('linkflap=30ms/10ms')
    if (late === 9) parts.push('unplugged=20ms')
    return `fault=${parts.join('+')}`
  })

const gen = fc
  .record({
    size: fc.constantFrom(60, 61, 500, 1514),
    flows: fc.integer({ min: 1, max: 9 }),
    count: fc.oneof(fc.nat(800), fc.nat(3000)),
    rate: fc.nat(3),
  })
  .map(({ size, flows, count, rate }) => {
    const paced = rate === 0 ? '' : `,rate=${[0, 50, 150, 800][rate]}kpps`
    return `gen,size=${size},flows=${flows}${paced}${count === 0 ? '' : `,count=${count}`}`
  })

const end = fc.oneof(
  { arbitrary: gen, weight: 6 },
  { arbitrary: fc.constant('sink'), weight: 3 },
  { arbitrary: fc.constant('loop'), weight: 3 },
  // These two start a thread, which takes longer than all else in a run: they are one end in seven.
  {
    arbitrary: fc.constantFrom('', ',rate=100kpps', ',repeat=3').map((more) => `replay=CAPTURE${more}`),
    weight: 1,
  },
  { arbitrary: fc.constant('record=RECORD'), weight: 1 },
)

const wire = fc
  .record({ ends: fc.array(end, { minLength: 1, maxLength: 2 }), faults: fc.array(fault, { maxLength: 2 }) })
  .map(({ ends, faults }) => {
    // One recorder, one loop and one source of each kind in a port.
    const kinds = new Set<string>()
    const some = ends.filter((text) => {
      const kind = text.slice(0, 4)
      return kinds.has(kind) ? false : kinds.add(kind) !== undefined
    })
    return [...some, ...faults].join()
  })

/** Lets every other flow of generated frames pass: ldh [34], the source port of UDP; jset #1; ret. */
const odd: FilterProgram = {
  expression: 'udp[0:2] & 1 != 0',
  instructions: [
    { code: 0x28, jt: 0, jf: 0, k: 34 },
    { code: 0x45, jt: 0, jf: 1, k: 1 },
    { code: 0x06, jt: 0, jf: 0, k: 1 },
    { code: 0x06, jt: 0, jf: 0, k: 0 },
  ],
}

/** What chance brings about too rarely: a loop brings frames to a card that has become deaf. */
const deafAtLoop: Plan = {
  wires: ['loop'],
  queues: 1,
  mtu: 500,
  fast: true,
  wants: 'all',
  filter: null,
  deafFrom: 10,
  how: 'card',
  abrupt: false,
  turns: Array.from({ length: 40 }, (_, i) => ({ cards: 1, worker: i % 2 === 0 ? 0 : 7 })),
}

interface Plan extends SimulatedRunOptions {
  /** Before this turn the cards stop receiving, as at the end of a run; null: not before all turns are done. */
  readonly deafFrom: number | null
  readonly how: 'queues' | 'card'
  /** The workers end before what is under way has come out. */
  readonly abrupt: boolean
  /** What happens next: turns of the cards (milliseconds), or of a worker. */
  readonly turns: readonly { readonly cards: number; readonly worker: number }[]
}

const plan: fc.Arbitrary<Plan> = fc.record({
  wires: fc.array(wire, { minLength: 1, maxLength: 2 }),
  queues: fc.constantFrom(1, 1, 2, 3, 4),
  // The buffers of large frames, all of which are made anew, take most of a run's time.
  mtu: fc.constantFrom(1500, 1500, 1500, 500, 500, 500, 500, 9000),
  fast: fc.boolean(),
  wants: fc.constantFrom('all', 'all', 'all', 'own address', 'no VLAN'),
  filter: fc.option(fc.constant(odd), { freq: 2 }),
  deafFrom: fc.option(fc.nat(30), { freq: 1 }),
  how: fc.constantFrom('queues', 'card'),
  abrupt: fc.constantFrom(false, false, false, true),
  turns: fc.array(fc.record({ cards: fc.constantFrom(0, 0.05, 1, 30), worker: fc.nat(7) }), {
    minLength: 20,
    maxLength: 150,
  }),
})

function files({ wires, ...rest }: Plan): Plan {
  const named = wires.map((text, i) =>
    text.replaceAll('CAPTURE', capture).replaceAll('RECORD', path.join(folder, `${i}.pcap`)),
  )
  return { wires: named, ...rest }
}

function expectBalanced(balances: readonly Balance[]): void {
  for (const balance of balances) {
    const { offered, copies, arrived, underWay, lost, filteredOut, unaccounted } = balance
    const named = lost.reduce((sum, { frames }) => sum + frames, 0)
    if (unaccounted !== 0 || offered + copies !== arrived + underWay + filteredOut + named)
      throw new Error(`doesn't add up: ${JSON.stringify(balance)}`)
    if (lost.some(({ frames }) => frames < 0) || arrived < 0 || underWay < 0 || filteredOut < 0)
      throw new Error(`less than none: ${JSON.stringify(balance)}`)
  }
}

/** Whatever comes out where sequence numbers are checked is booked, once. */
function expectBooked(run: SimulatedRun): void {
  const accounts = run.counts().flatMap(({ nic }) => (nic === null ? [] : [nic.account]))
  const checked = accounts.filter(({ out }) => out.books).reduce((sum, { out }) => sum + out.arrived, 0)
  const booked = accounts
    .flatMap(({ generators }) => generators)
    .reduce((sum, one) => sum + one.received + one.duplicated + one.corrupted + one.late, 0)
  expect({ checked: booked + run.reported('foreign') }).toEqual({ checked })
  const offered = accounts.reduce((sum, account) => sum + account.in.offered + account.in.returned, 0)
  expect({ offered: run.reported('sent') }).toEqual({ offered })
}

/** What the sequence numbers in generated frames say must be what the counters of all places say. */
function expectSequencesAgree(run: SimulatedRun, balances: readonly Balance[]): void {
  const loss = run.loss()
  if (!loss.bySequence) return
  const generators = run.counts().flatMap(({ nic }) => nic?.account.generators ?? [])
  const sum = (of: (one: (typeof generators)[number]) => number): number =>
    generators.reduce((total, one) => total + of(one), 0)
  const missing = balances.reduce(
    (total, { lost, underWay }) => total + underWay + lost.reduce((frames, one) => frames + one.frames, 0),
    0,
  )
  const copies = balances.reduce((total, balance) => total + balance.copies, 0)
  expect({ sequences: loss.lost + copies - sum(({ duplicated }) => duplicated) }).toEqual({
    sequences: missing,
  })
}

test(`each frame has one fate (${RUNS} combinations, seed ${SEED})`, async () => {
  let moved = 0
  let filtered = 0
  const causes = new Set<string>()
  await fc.assert(
    fc.asyncProperty(plan, async (drawn) => {
      const { turns, deafFrom, how, abrupt, ...options } = files(drawn)
      const run = new SimulatedRun(options)
      try {
        await run.ready()
        turns.forEach(({ cards, worker }, i) => {
          if (i === deafFrom) run.stopReceiving(how)
          if (worker < 4) run.pollWorker(worker)
          else run.pollCards(cards)
          if (i % 10 === 0) expectBalanced(run.balance())
        })
        run.windDown(abrupt)
        await run.flush()
        const balances = run.balance()
        expectBalanced(balances)
        expectSequencesAgree(run, balances)
        expectBooked(run)
        for (const device of run.witnessed()) expectWitnessed(device)
        moved += balances.reduce((sum, { arrived }) => sum + arrived, 0)
        for (const { lost } of balances) for (const { cause } of lost) causes.add(cause)
        filtered += balances.reduce((sum, { filteredOut }) => sum + filteredOut, 0)
      } finally {
        run.release()
      }
    }),
    { numRuns: RUNS, seed: SEED, examples: [[deafAtLoop]] },
  )
  // The handle was turned: most combinations move something.
  expect(moved).toBeGreaterThan(RUNS * 50)
  expect(filtered).toBeGreaterThan(RUNS)
  expect(causes.size).toBeGreaterThan(5)
}, 3_600_000)
