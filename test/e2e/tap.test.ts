/** The Linux stacks at both ends of two TAPs judge what ixy-ts forwards between them. */
import { randomBytes } from 'node:crypto'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pings } from '../pings.ts'
import {
  LAUNCHER,
  MODULES,
  Tool,
  becomes,
  bundle,
  describeIf,
  missing,
  objects,
  sh,
  temporaryDirectory,
} from './support.ts'

const programs = ['ip', 'ping', 'iperf3', 'sha256sum']

const KINDS = ['virtual:tap=', 'tap:']

describeIf(missing({ root: true, programs }), 'forward between two TAPs in network namespaces', () => {
  describe.each(KINDS)('%s', forwardBetween)
})

/** `kind`: what stands in front of the interface's name. */
function forwardBetween(kind: string): void {
  const directory = temporaryDirectory()
  const id = process.pid
  const ends = ['a', 'b'].map((name, i) => ({
    netns: `ixyts-${id}-${name}`,
    tap: `ixt${id % 100000}${name}`,
    ipv4: `10.99.0.${i + 1}`,
    ipv6: `fd00:99::${i + 1}`,
  }))
  const [a, b] = ends
  const inside = (end: { netns: string }, ...args: string[]): string =>
    sh('ip', 'netns', 'exec', end.netns, ...args)
  let tool: Tool

  beforeAll(async () => {
    const mode = kind === 'tap:' ? 'poll' : 'adaptive'
    tool = new Tool(['forward', ...ends.map(({ tap }) => `${kind}${tap}`), '-i', '0.1', '--mode', mode])
    await tool.until(/RX:/)
    for (const { netns, tap, ipv4, ipv6 } of ends) {
      sh('ip', 'netns', 'add', netns)
      sh('ip', 'link', 'set', tap, 'netns', netns)
      inside({ netns }, 'ip', 'link', 'set', 'lo', 'up')
      inside({ netns }, 'ip', 'addr', 'add', `${ipv4}/24`, 'dev', tap)
      inside({ netns }, 'ip', 'addr', 'add', `${ipv6}/64`, 'dev', tap, 'nodad')
      inside({ netns }, 'ip', 'link', 'set', tap, 'up')
    }
  }, 60_000)

  afterAll(async () => {
    for (const { netns } of ends) sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`)
    await tool.kill()
  })

  test.each([
    ['IPv4, a to b', a, b.ipv4],
    ['IPv4, b to a', b, a.ipv4],
    ['IPv6, a to b', a, b.ipv6],
    ['IPv6, b to a', b, a.ipv6],
  ])('100 pings without loss: %s', (_, from, to) =>
    pings((...command) => inside(from, ...command), '-c 100 -i 0.002 -q', to),
  )

  test('iperf3 over TCP', async () => {
    const server = spawn('ip', ['netns', 'exec', b.netns, 'iperf3', '-s', '-1'], { stdio: 'ignore' })
    const ended = new Promise((resolve) => server.once('close', resolve))
    const listening = `for i in $(seq 200); do ss -ltn | grep -q :5201 && exit 0; sleep 0.05; done; exit 1`
    inside(b, 'sh', '-c', listening)
    const result = JSON.parse(inside(a, 'iperf3', '-c', b.ipv4, '-n', '20M', '-J')) as {
      end: { sum_received: { bytes: number; bits_per_second: number } }
    }
    await ended
    expect(result.end.sum_received.bytes).toBeGreaterThan(5e6)
  }, 60_000)

  test('30 MB over TCP, both SHA-256 the same', async () => {
    const [source, target] = [path.join(directory, 'source'), path.join(directory, 'target')]
    const content = randomBytes(30_000_000)
    writeFileSync(source, content)
    const script = (code: string): string[] => [process.execPath, '-e', code]
    const receive = `const s = require('net').createServer((c) => { c.pipe(require('fs').createWriteStream('${target}')).on('close', () => s.close()) }).listen(7000, '${b.ipv4}', () => console.log('ready'))`
    const receiver = spawn('ip', ['netns', 'exec', b.netns, ...script(receive)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => receiver.once('close', resolve))
    await new Promise((resolve) => receiver.stdout.once('data', resolve))
    inside(
      a,
      ...script(
        `require('fs').createReadStream('${source}').pipe(require('net').connect(7000, '${b.ipv4}'))`,
      ),
    )
    await ended
    const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
    expect(sha256(readFileSync(target))).toBe(sha256(content))
  }, 60_000)

  if (kind === 'tap:')
    test('one that goes down takes the carrier away from the other', async () => {
      const carrier = (wanted: string): string =>
        `for i in $(seq 100); do ip link show ${b.tap} | grep -q ${wanted} && exit 0; sleep 0.05; done; exit 1`
      inside(a, 'ip', 'link', 'set', a.tap, 'down')
      inside(b, 'sh', '-c', carrier('NO-CARRIER'))
      inside(a, 'ip', 'link', 'set', a.tap, 'up')
      inside(b, 'sh', '-c', carrier('LOWER_UP'))
    })

  if (kind === 'tap:')
    test('deleting one ends the run', async () => {
      inside(a, 'ip', 'link', 'delete', a.tap)
      const { code, stderr } = await tool.end()
      expect(stderr).toMatch(
        new RegExp(
          `ixy-ts: the TAP interface ${a.tap} has been deleted; start again \\[IXY_ERR_DEVICE_GONE\\]`,
        ),
      )
      expect(code).toBe(1)
    })
}

/** io_uring_setup */
const IO_URING = '425'

describeIf(missing({ root: true, programs }), 'two TAPs where io_uring is not allowed', () => {
  const directory = temporaryDirectory()
  const ends = ['c', 'd'].map((name, i) => ({
    netns: `ixyts-${process.pid}-${name}`,
    tap: `ixt${process.pid % 100000}${name}`,
    ipv4: `10.98.0.${i + 1}`,
  }))
  const [a, b] = ends
  const inside = (netns: string, ...args: string[]): string => sh('ip', 'netns', 'exec', netns, ...args)
  afterAll(() => {
    for (const { netns } of ends) sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`)
  })

  test('each frame is a call of its own, as a warning says, and none is lost or miscounted', async () => {
    const lesser = bundle('on-lesser-kernel', directory)
    const args = [
      'forward',
      ...ends.map(({ tap }) => `tap:${tap}`),
      '-i',
      '0.1',
      '--json',
      '--expect-loss',
      '0',
    ]
    const tool = new Tool([IO_URING, process.execPath, LAUNCHER, ...args], { launcher: lesser, env: MODULES })
    await tool.until(/"interval"/)
    // What one says of itself while the other is moved is refused there.
    for (const { tap } of ends) sh('sh', '-c', `echo 1 >/proc/sys/net/ipv6/conf/${tap}/disable_ipv6 || true`)
    for (const { netns, tap, ipv4 } of ends) {
      sh('ip', 'netns', 'add', netns)
      // What the first one says of itself as soon as it is up, the second one, still down, would refuse.
      inside(netns, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 || true')
      sh('ip', 'link', 'set', tap, 'netns', netns)
      inside(netns, 'ip', 'addr', 'add', `${ipv4}/24`, 'dev', tap)
      inside(netns, 'ip', 'link', 'set', tap, 'up')
    }
    for (const size of [0, 56, 1000, 1472])
      await pings((...command) => inside(a.netns, ...command), `-c 50 -i 0.002 -q -s ${size}`, b.ipv4)
    // Nothing of that is joined or cut: our counts are the kernel's. Of what it has taken, it may have counted some as dropped only.
    const kernel = (): [number, number, number][] =>
      ends.map(({ netns, tap }) => {
        const [{ stats64 }] = JSON.parse(inside(netns, 'ip', '-j', '-s', 'link', 'show', tap)) as [
          { stats64: Record<'rx' | 'tx', { packets: number; dropped: number }> },
        ]
        return [stats64.tx.packets, stats64.rx.packets, stats64.rx.packets + stats64.rx.dropped]
      })
    const ours = (): [number, number][] =>
      objects(tool.stdout.slice(0, tool.stdout.lastIndexOf('\n') + 1), 'interval')
        .slice(-2)
        .map((interval) => {
          const { rx, tx } = interval['total'] as Record<'rx' | 'tx', { packets: number }>
          return [rx.packets, tx.packets]
        })
    const agree = (): boolean =>
      kernel().every(([sent, least, most], i) => {
        const [rx, tx] = ours()[i]
        return rx === sent && tx >= least && tx <= most
      })
    expect({ agree: await becomes(agree, 10_000), ours: ours(), kernel: kernel() }).toMatchObject({
      agree: true,
    })
    expect(ours()[0][0]).toBeGreaterThanOrEqual(200)
    // What is cut and joined.
    const server = spawn('ip', ['netns', 'exec', b.netns, 'iperf3', '-s', '-1'], { stdio: 'ignore' })
    const ended = new Promise((resolve) => server.once('close', resolve))
    inside(
      b.netns,
      'sh',
      '-c',
      'for i in $(seq 200); do ss -ltn | grep -q :5201 && exit 0; sleep 0.05; done; exit 1',
    )
    // Fewer segments under way than a TAP keeps: of more it drops some, should nobody read for a moment, and that is counted as lost.
    const result = JSON.parse(inside(a.netns, 'iperf3', '-c', b.ipv4, '-n', '8M', '-w', '128K', '-J')) as {
      end: { sum_received: { bytes: number } }
    }
    await ended
    expect(result.end.sum_received.bytes).toBeGreaterThan(1e6)
    const { code, stderr, stdout } = await tool.kill()
    expect({ code, said: code === 0 ? '' : stderr }).toEqual({ code: 0, said: '' })
    expect(stderr.split('a system call for each frame, as io_uring is not allowed here')).toHaveLength(3)
    expect(objects(stdout, 'end')).toMatchObject([{ loss: { judged: true, lost: 0, unaccounted: 0 } }])
  }, 60_000)
})

const USER = '54321'
const AS_USER = ['--reuid', USER, '--regid', USER, '--clear-groups']

/** Why the tool can't be run as another user in a namespace where everybody may open /dev/net/tun; null if it can. */
function userObstacle(): string | null {
  const obstacle = missing({ root: true, programs: ['ip', 'unshare', 'mount', 'mknod', 'setpriv'] })
  if (obstacle !== null) return obstacle
  const { status } = spawnSync('setpriv', [...AS_USER, process.execPath, LAUNCHER, '--version'])
  return status === 0 ? null : 'needs a checkout that every user can read'
}

describeIf(userObstacle(), 'TAPs of a user who is not root', () => {
  const directory = temporaryDirectory()
  const netns = `ixyts-${process.pid}-u`
  const [up, down] = ['u', 'd'].map((name) => `ixu${process.pid % 100000}${name}`)
  const inside = (...args: string[]): string => sh('ip', '-n', netns, ...args)

  beforeAll(() => {
    sh('ip', 'netns', 'add', netns)
    for (const tap of [up, down]) inside('tuntap', 'add', 'dev', tap, 'mode', 'tap', 'user', USER)
    inside('link', 'set', up, 'up')
    sh('mknod', '-m', '666', path.join(directory, 'tun'), 'c', '10', '200')
    sh('mkdir', '-m', '777', path.join(directory, 'run'))
    sh('chmod', '755', directory)
  })
  afterAll(() => sh('ip', 'netns', 'delete', netns))

  function forward(tap: string, kind: string): { status: number | null; stderr: string } {
    const script = `mount --bind ${directory}/tun /dev/net/tun
      export IXY_TS_RUNTIME_DIR=${directory}/run/user NO_COLOR=1
      exec setpriv ${AS_USER.join(' ')} "$0" "$@"`
    const tool = [process.execPath, LAUNCHER, 'forward', `${kind}${tap}`, 'virtual:sink', '-d', '0.2']
    const args = [
      'netns',
      'exec',
      netns,
      'unshare',
      '-m',
      'sh',
      '-ec',
      script,
      ...tool,
      '--log-level',
      'error',
    ]
    return spawnSync('ip', args, { encoding: 'utf8', timeout: 60_000 })
  }

  test.each(KINDS)('one that is up works: %s', (kind) => {
    expect(forward(up, kind)).toMatchObject({ status: 0, stderr: '' })
  })

  test.each([
    [KINDS[0], down, `${down} is down, .*: sudo ip link set ${down} up; then run again`],
    [
      KINDS[1],
      'ixunew',
      'making .* ixunew .*: sudo ip tuntap add dev ixunew mode tap user \\$USER; sudo ip link set ixunew up; then run again',
    ],
  ])('%s%s needs commands that the error names', (kind, tap, message) => {
    const { status, stderr } = forward(tap, kind)
    expect(stderr).toMatch(new RegExp(`^ixy-ts: ${message} \\[IXY_ERR_PERMISSION\\]\\n$`))
    expect(status).toBe(4)
  })
})
