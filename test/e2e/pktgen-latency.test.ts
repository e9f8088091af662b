import path from 'node:path'
import type { WireLatency } from '../../src/apps/pktgen/wire-times.ts'
import { LAUNCHER, Tool, describeIf, ixy, missing, objects, sh, temporaryDirectory } from './support.ts'

const temporaryFolder = temporaryDirectory()

interface Latency extends Record<string, number | null> {
  sent: number
  returned: number
  duplicated: number
  damaged: number
  foreign: number
  late: number
  lost: number
  count: number
}

interface Run {
  readonly code: number | null
  readonly stderr: string
  readonly elapsed: number
  /** Packets that the card has received. */
  readonly received: number
  readonly latency: Latency
  readonly reordering: Record<string, number>
  /** Of the fault wire. */
  readonly faults: Record<string, number>
  readonly wire: WireLatency
}

async function run(device: string, ...args: string[]): Promise<Run> {
  const { code, stdout, stderr } = await ixy('pktgen', device, '--latency', '--json', ...args)
  const end = objects(stdout, 'end')[0] as unknown as {
    elapsed: number
    devices: { rx: { packets: number } }[]
    latencyMicroseconds: Latency
    reordering: Record<string, number>
    virtual: { wires: { wire: string; counters: Record<string, number> }[] }[]
    wireLatency: WireLatency
  }
  const faults = end.virtual[0].wires.find(({ wire }) => wire.startsWith('fault'))?.counters ?? {}
  const received = end.devices[0].rx.packets
  return {
    code,
    stderr,
    elapsed: end.elapsed,
    received,
    latency: end.latencyMicroseconds,
    reordering: end.reordering,
    faults,
    wire: end.wireLatency,
  }
}

test('--latency says so when nothing comes back, of which nothing is believed on the wire either', async () => {
  const { code, stderr, latency, wire } = await run('virtual:sink', '--rate', '10kpps', '-n', '2000')
  expect(code).toBe(0)
  expect(stderr).toMatch(/no packet came back whose round trip could be measured \(--latency\)/)
  expect(latency).toMatchObject({ sent: 2000, returned: 0, lost: 2000, count: 0, p50: null, max: null })
  expect(wire).toMatchObject({ unavailable: null, sent: 1, count: 0, lost: 1 })
})

test('what comes back by way of another process is waited for', async () => {
  const [a, b] = ['a.sock', 'b.sock'].map((name) => path.join(temporaryFolder, name))
  const vnic = new Tool(['vnic', a, b, '--json'])
  await vnic.until(/"event":"start"/)
  // The last of them comes back 0.3 s after it was sent.
  const far = new Tool([
    'forward',
    `vfio-user:${b}`,
    'virtual:loop,rate=1kpps,queue=600',
    '--json',
    '--mode',
    'interrupt',
  ])
  await far.until(/"event":"start"/)
  const args = ['--latency', '-n', '600', '--rate', '2kpps', '--expect-loss', '0', '--json', '--quiet']
  const { code, stdout, stderr } = await ixy('pktgen', `vfio-user:${a}`, ...args)
  await far.kill('SIGTERM')
  await vnic.kill('SIGTERM')
  expect(stderr).not.toMatch(/expect-loss/)
  expect(code).toBe(0)
  const end = objects(stdout, 'end')[0] as unknown as { devices: { rx: { packetsPerSecond: number } }[] }
  expect(end).toMatchObject({ reason: 'count', latencyMicroseconds: { sent: 600, returned: 600, lost: 0 } })
  // The run lasts until the last has come back: its rate isn't higher than what the way carries.
  expect(end.devices[0].rx.packetsPerSecond).toBeLessThan(1100)
})

test.each([1, 2])('--latency measures every packet that comes back to %i queues', async (queues) => {
  const args = ['--count', '5000', '--rate', '20kpps', '--flows', '16', '--queues', String(queues)]
  // What is met is no failure.
  args.push('--expect-latency', 'p99=10s', '--expect-latency', 'max=20s')
  const { code, latency, elapsed, received } = await run('virtual:loop', ...args)
  expect(code).toBe(0)
  // A card whose driver is kept from running drops packets, where it has several queues.
  expect(received).toBeGreaterThan(0)
  expect(latency).toMatchObject({ sent: 5000, returned: received, lost: 5000 - received })
  expect(latency).toMatchObject({ count: received, duplicated: 0, damaged: 0, foreign: 0, late: 0 })
  const ordered = ['min', 'p50', 'p90', 'p99', 'p999', 'p9999', 'p99999', 'max'].map(
    (name) => latency[name] ?? NaN,
  )
  expect([...ordered].sort((a, b) => a - b)).toEqual(ordered)
  expect(ordered[0]).toBeGreaterThan(0)
  expect(ordered[7]).toBeLessThan(elapsed * 1e6)
})

describe('round trips through faults', () => {
  const load = ['--rate', '10kpps', '-d', '0.1', '--flows', '8']

  test.each([1, 2])('damaged probes are no measurements (%i queues)', async (queues) => {
    const { latency, elapsed, received } = await run(
      'virtual:loop,fault=corrupt=0.5+seed=1',
      ...load,
      '--queues',
      String(queues),
    )
    const { sent, returned, damaged, foreign, lost, max } = latency
    expect(damaged).toBeGreaterThan(received / 2)
    expect(returned).toBeGreaterThan(0)
    expect(returned + damaged + foreign).toBe(received)
    expect(received).toBeLessThanOrEqual(sent)
    expect(lost).toBe(sent - returned)
    expect(max ?? NaN).toBeLessThan(elapsed * 1e6)
  })

  test('what doesn’t come back is lost', async () => {
    const { latency, faults } = await run('virtual:loop,fault=drop=0.5+seed=1', ...load)
    expect(latency.lost).toBe(faults['inDropped'] + faults['outDropped'])
    expect(latency.returned).toBe(latency.sent - latency.lost)
  })

  test('copies are counted, not measured', async () => {
    const { latency, faults } = await run('virtual:loop,fault=dup=0.5+seed=1', ...load)
    expect(latency).toMatchObject({ returned: latency.sent, count: latency.sent, lost: 0 })
    expect(latency.duplicated).toBe(faults['inDuplicated'] + faults['outDuplicated'])
  })

  test('copies and damage together, over several queues: no probe is measured twice', async () => {
    const { latency } = await run('virtual:loop,fault=dup=0.5+corrupt=0.5+seed=1', ...load, '--queues', '3')
    expect(latency.returned).toBeLessThanOrEqual(latency.sent)
    expect(latency.returned).toBeGreaterThan(latency.sent / 4)
  })
})

test('what a wire reorders is told, no more and no less than it says', async () => {
  const load = ['--rate', '20kpps', '-n', '4000', '--proto', 'tcp', '--src-ip', 'fd00::1']
  const { faults, latency, reordering, wire } = await run('virtual:loop,fault=reorder=0.05+seed=1', ...load)
  expect(wire).toMatchObject({
    unavailable: expect.stringMatching(/^a card stamps UDP only/) as string,
    count: 0,
  })
  expect(latency).toMatchObject({ returned: 4000, lost: 0 })
  // A packet that one other overtakes is reordered by that, if the way back doesn't put it right again.
  const held = faults['inReordered'] + faults['outReordered']
  expect(reordering).toMatchObject({ of: 4000, beyond: 0, queues: 1 })
  expect(reordering['reordered']).toBeLessThanOrEqual(held)
  expect(reordering['reordered']).toBeGreaterThan(held * 0.8)
})

describe('--expect-latency', () => {
  const load = ['--rate', '10kpps', '-n', '1000']

  test('that is not met is a failure of the run', async () => {
    const { code, stderr } = await run(
      'virtual:loop',
      ...load,
      '--expect-latency',
      'max=20s',
      '--expect-latency',
      'p50=1ns',
    )
    expect(code).toBe(5)
    expect(stderr).toMatch(
      /round trips took [\d.]+ us, expected p50=1ns at most \(--expect-latency\) \[IXY_ERR_EXPECTATION\]/,
    )
  })

  test('is not met where nothing was measured', async () => {
    const { code, stderr } = await run('virtual:sink', '-n', '10', '--expect-latency', 'max=1s')
    expect(code).toBe(5)
    expect(stderr).toMatch(/no round trip was measured/)
  })
})

const wireOf = (stdout: string): WireLatency => objects(stdout, 'end')[0]['wireLatency'] as WireLatency

describe('on the wire', () => {
  test('sampled packets are there for a part of their round trip; the rest is the program’s', async () => {
    const { stdout } = await ixy(
      'pktgen',
      'virtual:loop',
      '--latency',
      '--rate',
      '20kpps',
      '-d',
      '0.2',
      '--json',
    )
    const wire = wireOf(stdout)
    const { latencyMicroseconds } = objects(stdout, 'end')[0] as unknown as { latencyMicroseconds: Latency }
    expect(latencyMicroseconds).toMatchObject({ lost: 0, damaged: 0, foreign: 0 })
    expect(wire).toMatchObject({ unavailable: null, lost: 0, unstamped: 0, disbelieved: 0 })
    expect(wire.count).toBeGreaterThan(0)
    expect(wire.count).toBe(wire.sent)
    const { wireMicroseconds, programMicroseconds } = wire
    expect(wireMicroseconds['min']).toBeGreaterThan(0)
    expect(programMicroseconds['min']).toBeGreaterThanOrEqual(0)
    for (const { max, mean } of [wireMicroseconds, programMicroseconds]) {
      expect(max).toBeLessThanOrEqual(latencyMicroseconds['max'] ?? NaN)
      expect(mean).toBeLessThanOrEqual(max ?? NaN)
    }
  })

  test('damage on the way is no measurement', async () => {
    const device = 'virtual:loop,fault=corrupt=1+seed=3'
    const { stdout } = await ixy('pktgen', device, '--latency', '--rate', '10kpps', '-d', '0.2', '--json')
    expect(wireOf(stdout)).toMatchObject({ count: 0, lost: 1, wireMicroseconds: { max: null } })
  })

  test('packets that no card can stamp are only measured by the program, which says so', async () => {
    const args = ['pktgen', 'virtual:loop', '--latency', '--proto', 'tcp', '--rate', '10kpps', '-n', '1000']
    const { stdout } = await ixy(...args)
    expect(stdout.replace(/\s+/g, ' ')).toContain('on the wire: not measured, as a card stamps UDP only')
  })
})

describeIf(missing({ root: true, programs: ['unshare'] }), 'a TAP', () => {
  test('stamps nothing, and it is said', () => {
    // What Linux has to say over IPv6 would be waited for.
    const silent = 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || true; exec "$0" "$@"'
    const run = [process.execPath, LAUNCHER, 'pktgen', 'tap:ixtwire', '--latency', '-n', '100']
    const how = ['--rate', '10kpps', '--json']
    expect(wireOf(sh('unshare', '-n', 'sh', '-c', silent, ...run, ...how))).toMatchObject({
      unavailable: 'tap:ixtwire stamps no packets',
      sent: 0,
    })
  })
})
