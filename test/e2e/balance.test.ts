/** That each frame has one fate, judged by what was recorded or by who else has counted, and what the gates make of it. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { mixedFrames, readCapture, writeCapture } from './captures.ts'
import { childrenOf, describeIf, ixy, missing, objects, sh, temporaryDirectory, Tool } from './support.ts'

interface Direction {
  from: { device: string; index: number | null }
  to: { device: string; index: number | null }
  offered: number
  returned: number
  copies: number
  corrupted: number
  arrived: number
  underWay: number
  lost: { place: string; cause: string; frames: number }[]
  unaccounted: number
}

interface End {
  elapsed: number
  reason: string
  error: { code: string; message: string } | null
  devices: { rx: { packets: number }; tx: { packets: number }; dropped: Record<string, number> }[]
  virtual: {
    wires: { wire: string; counters: Record<string, number>; notJudged?: string }[]
    final: boolean
  }[]
  balance: Direction[]
  latencyMicroseconds: { sent: number; returned: number; max: number }
  loss: { judged: boolean; reason: string; lost: number; corrupted: number; of: number; ratio: number }
}

const folder = temporaryDirectory()
const capture = path.join(folder, 'in.pcap')
beforeAll(() => writeCapture(capture, mixedFrames(1000)))

function endOf(stdout: string): End {
  return objects(stdout, 'end')[0] as unknown as End
}

async function run(...args: string[]): Promise<{ code: number | null; end: End; stderr: string }> {
  const { code, stdout, stderr } = await ixy(...args, '--json', '--quiet', '--log-level', 'warn')
  const end = endOf(stdout)
  for (const direction of end.balance) {
    const { offered, copies, arrived, underWay, lost, unaccounted } = direction
    const named = lost.reduce((sum, { frames }) => sum + frames, 0)
    expect({ ...direction, sum: arrived + underWay + named, unaccounted }).toEqual({
      ...direction,
      sum: offered + copies,
      unaccounted: 0,
    })
  }
  return { code, end, stderr }
}

test('what a fault on the way to a loop drops is lost', async () => {
  const wire = 'virtual:loop,fault=drop=1+seed=1'
  const { code, end, stderr } = await run('pktgen', wire, '-n', '1000', '--expect-loss', '0')
  expect(code).toBe(5)
  expect(end.loss).toMatchObject({ lost: 1000, of: 1000, ratio: 1, judged: true })
  expect(stderr).toMatch(/lost 1000 of 1000 packets .* \[IXY_ERR_EXPECTATION\]/)
})

test('of probes, what does not come back is lost, and what comes back damaged or twice is not measured', async () => {
  const probe = (fault: string): ReturnType<typeof run> =>
    run(
      'pktgen',
      `virtual:loop,fault=${fault}+seed=1`,
      '--latency',
      '--rate',
      '20kpps',
      '-n',
      '1500',
      '--expect-loss',
      '0',
    )
  const dropped = await probe('drop=0.5')
  expect(dropped.code).toBe(5)
  const { lost, of } = dropped.end.loss
  expect(of).toBe(1500)
  // Twice half of them: on the way out and on the way in.
  expect(lost).toBeGreaterThan(1050)
  expect(lost).toBeLessThan(1200)
  expect(dropped.end.latencyMicroseconds.returned).toBe(1500 - lost)
  const doubled = await probe('dup=0.5')
  expect(doubled.code).toBe(0)
  expect(doubled.end.latencyMicroseconds).toMatchObject({ sent: 1500, returned: 1500 })
  const damaged = await probe('corrupt=0.5')
  expect(damaged.code).toBe(5)
  expect(damaged.end.latencyMicroseconds.max).toBeLessThan(damaged.end.elapsed * 1e6)
})

test('what a fault in front of a sink drops is lost', async () => {
  const args = [
    `virtual:replay=${capture},rate=100%`,
    'virtual:sink,fault=drop=1+seed=1',
    '--expect-loss',
    '0',
  ]
  const { code, end } = await run('forward', ...args)
  expect(code).toBe(5)
  expect(end.loss).toMatchObject({ lost: 1000, of: 1000 })
})

test('what a fault behind a replay drops is lost, and what is not was recorded', async () => {
  const out = path.join(folder, 'dropped.pcap')
  const source = `virtual:replay=${capture},rate=100%,fault=drop=0.1+seed=1`
  const { code, end } = await run('forward', source, `virtual:record=${out}`, '--expect-loss', '0.5')
  expect(code).toBe(0)
  const recorded = readCapture(out).length
  expect(recorded).toBeGreaterThan(850)
  expect(recorded).toBeLessThan(950)
  expect(end.loss).toMatchObject({ lost: 1000 - recorded, of: 1000 })
  expect(end.balance[0]).toMatchObject({ offered: 1000, arrived: recorded })
})

test.each(['--expect-loss', '--expect-mpps'])(
  'a run that carried no packet does not meet %s',
  async (gate) => {
    const { code, stderr } = await run('forward', 'virtual:sink', 'virtual:sink', '-d', '0.2', gate, '0.5')
    expect(code).toBe(5)
    expect(stderr).toContain('IXY_ERR_EXPECTATION')
  },
)

test('copies and damaged frames hide no loss', async () => {
  const out = path.join(folder, 'copies.pcap')
  const faults = 'fault=drop=0.25+corrupt=0.5+dup=0.5+seed=1'
  const source = `virtual:gen,rate=100kpps,count=20000,${faults}`
  const { code, end, stderr } = await run(
    'forward',
    source,
    `virtual:sink,record=${out}`,
    '--expect-loss',
    '0.2',
  )
  expect(code).toBe(5)
  const [{ lost, copies, arrived, offered }] = end.balance
  const dropped = lost.find(({ cause }) => cause === 'dropped')?.frames ?? 0
  expect(dropped).toBeGreaterThan(4700)
  expect(dropped).toBeLessThan(5300)
  expect(offered).toBe(20_000)
  expect(end.loss.lost).toBeGreaterThanOrEqual(dropped)
  expect(readCapture(out).length).toBe(arrived)
  const [gen] = end.virtual[0].wires
  const { sent, received, corrupted, duplicated } = gen.counters
  expect(sent).toBe(received + corrupted + gen.counters['lost'])
  expect(arrived).toBe(received + corrupted + duplicated)
  expect(copies).toBeGreaterThan(7000)
  expect(stderr).toMatch(/lost \d+ and corrupted \d+ of 20000 packets/)
})

test('a frame that is changed twice is missing once', async () => {
  const wire = 'virtual:loop,fault=corrupt=1+seed=1'
  const { code, end } = await run('pktgen', wire, '-n', '100', '--expect-loss', '100%')
  expect(code).toBe(0)
  expect(end.loss).toMatchObject({ lost: 0, corrupted: 100, of: 100, ratio: 1 })
})

test('the same of frames that nobody can tell apart', async () => {
  const out = path.join(folder, 'anonymous.pcap')
  const source = `virtual:replay=${capture},rate=100%,fault=drop=0.3+dup=0.3+seed=3`
  const { end } = await run('forward', source, `virtual:record=${out}`)
  const [{ offered, copies, arrived }] = end.balance
  expect(readCapture(out).length).toBe(arrived)
  expect(end.loss).toMatchObject({ lost: offered + copies - arrived, of: 1000 })
})

test('a server can not judge what becomes of its frames, and says so; the one that takes them can', async () => {
  const socket = path.join(folder, 'n.sock')
  const server = new Tool(['vnic', socket, '--wire', 'gen,count=5000', '--json', '--log-level', 'info'])
  await server.until(/listening on/, 'stderr')
  const { code, end } = await run(
    'forward',
    `vfio-user:${socket}`,
    'virtual:sink',
    ...['-d', '0.4', '--mode', 'interrupt'],
    '--expect-loss',
    '0',
  )
  expect(code).toBe(0)
  expect(end.balance[0]).toMatchObject({ offered: 5000, arrived: 5000 })
  const ended = await server.kill()
  expect(ended.code).toBe(0)
  const told = endOf(ended.stdout)
  expect(told.loss).toMatchObject({
    judged: false,
    reason: expect.stringMatching(/one half of the way/) as string,
  })
  const [gen] = told.virtual[0].wires
  expect(gen.counters['lost']).toBeUndefined()
  expect(gen.notJudged).toBeDefined()
})

test('when a server is killed, loss is not judged', async () => {
  const socket = path.join(folder, 'k.sock')
  const server = new Tool(['vnic', socket, '--wire', 'gen'])
  await server.until(/listening on/, 'stderr')
  const tool = new Tool([
    'forward',
    `vfio-user:${socket}`,
    'virtual:sink',
    '--json',
    '-i',
    '0.1',
    '--mode',
    'interrupt',
  ])
  await tool.until(/"event":"interval"/)
  await server.kill('SIGKILL')
  const { code, stdout } = await tool.end()
  expect(code).toBe(1)
  expect(endOf(stdout)).toMatchObject({ loss: { judged: false }, balance: [] })
})

test('when the process of the NICs is killed, the workers’ counts are shown, and loss is not judged', async () => {
  const tool = new Tool([
    'forward',
    'virtual:gen',
    'virtual:sink',
    '--json',
    '--expect-loss',
    '0',
    '-i',
    '60',
  ])
  await tool.until(/"event":"start"/)
  // The first packets are published after some polls; nothing else tells of them before the first interval.
  await new Promise((resolve) => setTimeout(resolve, 500))
  process.kill(childrenOf(tool.pid)[0], 'SIGKILL')
  const { code, stdout } = await tool.end()
  const end = endOf(stdout)
  expect(code).toBe(1)
  expect(end.error?.code).toBe('IXY_ERR_DEVICE_GONE')
  expect(end.devices.length).toBe(2)
  expect(end.devices[0].rx.packets).toBeGreaterThan(0)
  expect(end.loss).toMatchObject({ judged: false })
  expect(end.balance).toEqual([])
})

describeIf(missing({ root: true, programs: ['mount'] }), 'a full disk', () => {
  const disk = path.join(folder, 'disk')
  beforeAll(() => {
    mkdirSync(disk)
    sh('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk)
  })
  afterAll(() => sh('umount', disk))

  test('what was sent and what was written are shown, and the capture ends with a whole record', async () => {
    const out = path.join(disk, 'out.pcap')
    const { code, end } = await run('pktgen', `virtual:record=${out}`, '-n', '200000', '--expect-loss', '0')
    expect(code).toBe(1)
    expect(end.error?.code).toBe('IXY_ERR_OUTPUT')
    const [{ offered, arrived }] = end.balance
    const recorded = readCapture(out).length
    expect(recorded).toBeGreaterThan(10_000)
    expect(arrived).toBe(recorded)
    expect(offered).toBeGreaterThan(recorded)
    expect(end.devices[0].tx.packets).toBeGreaterThanOrEqual(recorded)
  })
})

describeIf(missing({ root: true, programs: ['ip'] }), 'with a TAP', () => {
  const netns = `ixyb${process.pid}`
  beforeAll(() => sh('ip', 'netns', 'add', netns))
  afterAll(() => sh('ip', 'netns', 'del', netns))

  test('what the kernel has taken has arrived', async () => {
    const args = [
      'forward',
      'virtual:tap=ixb0',
      'virtual:gen,rate=20kpps,count=3000',
      ...['--json', '--mode', 'interrupt'],
      '--expect-loss',
      '0',
    ]
    const { code, stdout } = await new Tool(args, { netns }).end()
    const end = endOf(stdout)
    expect(code).toBe(0)
    expect(end.balance[1]).toMatchObject({ offered: 3000, arrived: 3000, unaccounted: 0 })
    expect(end.virtual[1].wires[0].notJudged).toBeDefined()
  })

  test('what it refuses while it is down is lost, also where it is recorded', async () => {
    const out = path.join(folder, 'down.pcap')
    const args = [
      'forward',
      'virtual:gen,rate=1kpps,count=1500',
      `virtual:tap=ixb2,record=${out}`,
      ...['--json', '--mode', 'interrupt', '-i', '0.5'],
      '--expect-loss',
      '0',
    ]
    const tool = new Tool(args, { netns })
    await tool.until(/"event":"start"/)
    sh('ip', '-n', netns, 'link', 'set', 'ixb2', 'down')
    await tool.until(/"event":"interval"/)
    sh('ip', '-n', netns, 'link', 'set', 'ixb2', 'up')
    const { code, stdout } = await tool.end()
    const { balance, loss } = endOf(stdout)
    const refused = balance[0].lost.find(({ cause }) => cause === 'refused')?.frames ?? 0
    expect(refused).toBeGreaterThan(0)
    expect(balance[0].offered).toBe(1500)
    expect(loss).toMatchObject({ lost: refused, bySequence: false })
    expect(readCapture(out).length).toBe(1500)
    expect(code).toBe(5)
  })

  test('when it is deleted, the counts until then are shown', async () => {
    const args = [
      'forward',
      'virtual:tap=ixb1',
      'virtual:gen,rate=10kpps',
      '--json',
      '-i',
      '60',
      '--mode',
      'interrupt',
    ]
    const tool = new Tool(args, { netns })
    await tool.until(/"event":"start"/)
    const taken = (): number =>
      Number(sh('ip', 'netns', 'exec', netns, 'cat', '/sys/class/net/ixb1/statistics/rx_packets'))
    while (taken() < 100) await new Promise((resolve) => setTimeout(resolve, 20))
    const before = taken()
    sh('ip', '-n', netns, 'link', 'del', 'ixb1')
    const { code, stdout } = await tool.end()
    const end = endOf(stdout)
    expect(code).toBe(1)
    expect(end.error?.message).toMatch(/ixb1 has been deleted/)
    expect(end.balance[1].arrived).toBeGreaterThanOrEqual(before)
    expect(end.balance[1].unaccounted).toBe(0)
    expect(end.devices[0].tx.packets).toBeGreaterThanOrEqual(before)
    expect(end.virtual[0].final).toBe(true)
  })
})
