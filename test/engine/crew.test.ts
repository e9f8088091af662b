import { forward } from '../../src/apps/forward/app.ts'
import type { LoadedApp } from '../../src/engine/app.ts'
import { Crew } from '../../src/engine/crew.ts'
import { Recruits } from '../../src/engine/recruits.ts'
import { Session } from '../../src/engine/session.ts'
import type { Watchdog } from '../../src/engine/watchdog.ts'
import { becomes } from '../e2e/support.ts'

const QUEUES = 2
const OPTIONS = { access: null, cpus: [], ringSize: 64, force: false, mtu: 1500, mode: 'poll' } as const
const WORK = { batchSize: 32, mode: 'poll', backend: null, cpus: [], check: false } as const

let session: Session
let crew: Crew | null = null
afterEach(async () => {
  await crew?.stop(1000)
  crew = null
  await session.close()
})

async function assemble(loaded: LoadedApp): Promise<Crew> {
  const devices = ['virtual:gen,count=1000,flows=64', 'virtual:sink']
  session = await Session.open({ ...OPTIONS, devices, queues: QUEUES })
  const jobs = Array.from({ length: QUEUES }, () => ({ touch: false, filter: null }))
  const watchdog = { guard: () => undefined } as unknown as Watchdog
  crew = new Crew(session.queueSets, loaded, jobs, WORK, () => undefined, watchdog, new Recruits(QUEUES))
  return crew
}

test('workers wait for the order to run, and what they count at the end is final', async () => {
  const workers = await assemble({ app: forward, file: null })
  await workers.armed()
  for (const device of session.devices) device.start()
  expect(workers.moved()).toEqual([null, null])
  workers.run()
  expect(await becomes(() => workers.totals(1).tx.packets === 1000, 10_000)).toBe(true)
  expect(workers.counted).toBe(false)
  await workers.stop(5000)
  expect([workers.counted, workers.lateness()]).toEqual([true, null])
  expect(workers.totals(0).rx).toEqual({ packets: 1000, bytes: 60_000 })
  expect(workers.account(1)).toMatchObject({ queued: 1000, unsent: 0 })
  // 64 flows by RSS: both queues have some of them, and together all.
  const shares = [0, 1].map((queue) => workers.counters(queue, 0).rx.packets)
  expect(shares[0] + shares[1]).toBe(1000)
  expect(Math.min(...shares)).toBeGreaterThan(0)
  // A poll takes at most a batch, and most found nothing.
  for (const { worker, polls, useful } of workers.polls()) {
    expect(useful).toBeGreaterThanOrEqual(shares[worker] / WORK.batchSize)
    expect(useful).toBeLessThanOrEqual(shares[worker] + 1)
    expect(polls).toBeGreaterThan(useful)
  }
  for (const span of workers.moved()) expect(span?.last).toBeGreaterThanOrEqual(span?.first ?? Infinity)
})

test('a worker that dies says why, at once, and is no reason to wait at the end', async () => {
  const workers = await assemble({ app: { ...forward, name: 'lost' }, file: '/nowhere/lost.mjs' })
  await expect(workers.armed()).rejects.toMatchObject({ message: expect.stringContaining('lost.mjs') })
  await workers.stop(60_000)
  expect(workers.counted).toBe(false)
  expect(workers.lateness()).toMatchObject({ message: expect.stringContaining('lost.mjs') })
})
