import { ixy, objects } from './support.ts'

interface Trial {
  readonly sent: number
  readonly received: number
  readonly lost: number
  readonly foreign: number
}

test('rfc2544 measures a loop with a capacity, and its counts are those of the wire', async () => {
  const { code, stdout } = await ixy(
    ...['rfc2544', 'virtual:loop,rate=4kpps,queue=100', '--quick', '--tests', 'loss', '--trial', '0.2'],
    ...['--frame-sizes', '64', '--max-load', '5kpps', '--json', '-i', '10', '-d', '60'],
  )
  expect(code).toBe(0)
  const [end] = objects(stdout, 'end') as unknown as {
    rfc2544: { complete: boolean; trials: number; sizes: { loss: { sent: number; lost: number }[] }[] }
    virtual: { wires: { counters: Record<string, number> }[] }[]
  }[]
  const trials = objects(stdout, 'trial') as unknown as Trial[]
  const [{ counters }] = end.virtual[0].wires
  const sum = (of: (trial: Trial) => number): number => trials.reduce((all, trial) => all + of(trial), 0)
  expect(end.rfc2544.complete).toBe(true)
  expect(trials).toHaveLength(end.rfc2544.trials)
  // The wire counts for itself.
  expect(counters).toMatchObject({ arrived: sum(({ sent }) => sent), overrun: sum(({ lost }) => lost) })
  expect(sum(({ received }) => received)).toBe(counters['sent'])
  expect(sum(({ foreign }) => foreign)).toBe(0)
  // 200 frames more than it can send back, of which 100 find room.
  const [{ loss }] = end.rfc2544.sizes
  expect(loss[0].lost).toBeGreaterThan(0)
  expect(objects(stdout, 'result').map(({ test }) => test)).toEqual(['loss'])
})

test('what rfc2544 can’t do is said before a device is touched', async () => {
  const { code, stderr } = await ixy('rfc2544', 'virtual:loop', '--frame-sizes', '64,1519')
  expect(code).toBe(2)
  expect(stderr).toMatch(/--frame-sizes 1519 is not valid; give at most 1518 with --mtu 1500/)
})
