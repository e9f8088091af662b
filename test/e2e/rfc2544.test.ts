import { Tool, describeIf, ixy, missing, objects, sh } from './support.ts'

interface Trial {
  readonly droppedHere: Readonly<Record<string, number>>
  readonly sent: number
  readonly received: number
  readonly lost: number
  readonly foreign: number
}

test('rfc2544 measures a loop with a capacity, and its counts are those of the wire', async () => {
  const { code, stdout } = await ixy(
    ...['rfc2544', 'virtual:loop,rate=3kpps,queue=10', '--quick', '--tests', 'loss', '--trial', '0.2'],
    ...['--frame-sizes', '64', '--max-load', '3500pps', '--json', '-i', '10', '-d', '60'],
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
  // Of 700 frames in 0.2 s it can send back 600, and 10 find room; more if this machine takes longer to offer them.
  const [{ loss }] = end.rfc2544.sizes
  expect(loss[0].lost).toBeGreaterThan(0)
  expect(objects(stdout, 'result').map(({ test }) => test)).toEqual(['loss'])
})

test('what rfc2544 can’t do is said before a device is touched', async () => {
  const both = await ixy('rfc2544', 'virtual:loop', '--bidirectional')
  expect(both.code).toBe(2)
  expect(both.stderr).toMatch(/--bidirectional needs two devices/)
})

const programs = ['ip', 'tc', 'sysctl']

describeIf(missing({ root: true, tap: true, programs }), 'a bridge of Linux that lets so much out', () => {
  const netns = `ixyts-${process.pid}-dut`
  const inside = (...args: string[]): string => sh('ip', 'netns', 'exec', netns, ...args)

  beforeAll(() => {
    sh('ip', 'netns', 'add', netns)
    // Nothing is sent there but by the tool.
    inside('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
    inside('ip', 'link', 'add', 'dut', 'type', 'bridge', 'mcast_snooping', '0')
    inside('ip', 'link', 'set', 'dev', 'dut', 'up')
    for (const name of ['left', 'right']) {
      inside('ip', 'tuntap', 'add', name, 'mode', 'tap')
      inside('ip', 'link', 'set', 'dev', name, 'up', 'master', 'dut')
    }
    inside('ip', 'link', 'add', 'other', 'up', 'master', 'dut', 'type', 'veth', 'peer', 'name', 'outside')
    inside('ip', 'link', 'set', 'dev', 'outside', 'up')
    inside(
      ...['tc', 'qdisc', 'add', 'dev', 'right', 'root', 'tbf'],
      ...['rate', '1mbit', 'burst', '2kb', 'limit', '2kb'],
    )
  })
  afterAll(() => {
    sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`)
  })

  test('loses what tc has dropped, and passes what the interface has sent', async () => {
    const args = [
      '--quick',
      '--tests',
      'loss',
      '--trial',
      '0.2',
      '--frame-sizes',
      '64',
      '--max-load',
      '3kpps',
    ]
    const { code, stdout } = await new Tool(
      ['rfc2544', 'tap:left', 'tap:right', ...args, '--json', '-d', '60'],
      {
        netns,
      },
    ).end()
    expect(code).toBe(0)
    const trials = objects(stdout, 'trial') as unknown as Trial[]
    const sum = (of: (trial: Trial) => number): number => trials.reduce((all, trial) => all + of(trial), 0)
    const [{ drops, packets }] = JSON.parse(inside('tc', '-s', '-j', 'qdisc', 'show', 'dev', 'right')) as {
      drops: number
      packets: number
    }[]
    const here = sum(({ droppedHere }) => droppedHere['kernel_dropped'] ?? 0)
    expect(sum(({ foreign }) => foreign)).toBe(0)
    expect(sum(({ lost }) => lost)).toBe(drops + here)
    // Before each trial, the left device has told where it is.
    expect(sum(({ received }) => received)).toBe(packets - here - 3 * trials.length)
    // 2083 frames of 60 bytes a second, and what the qdisc holds.
    expect(trials[0].lost).toBeGreaterThan(0)
    // Nothing was flooded once the bridge had learned where the right one is.
    const seen = inside('cat', '/sys/class/net/outside/statistics/rx_packets')
    expect(Number(seen)).toBeLessThanOrEqual(3)
  })
})
