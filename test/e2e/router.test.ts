/** docs/examples/router.ts between two network namespaces, judged by the Linux stacks in them. */
import { spawn } from 'node:child_process'
import { pings } from '../pings.ts'
import { copyExample } from './example-files.ts'
import { Tool, describeIf, missing, objects, sh, temporaryDirectory, testIf } from './support.ts'

const programs = ['ip', 'ping', 'iperf3', 'nstat']

describeIf(missing({ root: true, programs }), 'a router between two network namespaces', () => {
  const id = process.pid % 100_000
  const ends = ['a', 'b'].map((name, i) => ({
    netns: `ixyr-${id}-${name}`,
    tap: `ixr${id}${name}`,
    address: [`10.0.1.10`, `10.0.2.20`][i],
    router: `10.0.${i + 1}.1`,
  }))
  const [a, b] = ends
  const inside = (end: { netns: string }, ...args: string[]): string =>
    sh('ip', 'netns', 'exec', end.netns, ...args)
  /** Of a command that fails when an answer is missing, as ping does. */
  const output = (end: { netns: string }, command: string): string =>
    inside(end, 'sh', '-c', `${command} 2>&1 || true`)
  const folder = temporaryDirectory()
  let tool: Tool

  beforeAll(async () => {
    const file = copyExample('router', folder)
    const devices = ends.map(({ tap }) => `virtual:tap=${tap}`)
    const addresses = ends.map(({ router }) => `${router}/24`)
    // 10.9.0.0/16 is behind the host in the second namespace; that of 10.8.0.0/16 doesn't exist.
    const routes = ['--route', `10.9.0.0/16=${b.address}`, '--route', '10.8.0.0/16=10.0.2.66']
    tool = new Tool([
      'run',
      file,
      ...devices,
      '--json',
      '-i',
      '0.1',
      '--mode',
      'adaptive',
      '--',
      ...addresses,
      ...routes,
    ])
    await tool.until(/"interval"/)
    for (const { netns, tap, address, router } of ends) {
      sh('ip', 'netns', 'add', netns)
      // Linux's own chatter would be in the counts.
      inside({ netns }, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6')
      sh('ip', 'link', 'set', tap, 'netns', netns)
      inside({ netns }, 'ip', 'link', 'set', 'lo', 'up')
      inside({ netns }, 'ip', 'addr', 'add', `${address}/24`, 'dev', tap)
      inside({ netns }, 'ip', 'link', 'set', tap, 'up')
      inside({ netns }, 'ip', 'route', 'add', 'default', 'via', router)
    }
    inside(b, 'ip', 'addr', 'add', '10.9.0.1/32', 'dev', 'lo')
  }, 60_000)

  afterAll(async () => {
    for (const { netns } of ends) sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`)
    await tool.kill()
  })

  test.each([
    ['there', a, b.address, 63],
    ['back', b, a.address, 63],
    ['to a network behind a static route', a, '10.9.0.1', 63],
    ['to the router', a, a.router, 64],
    ['to the router’s other address', a, b.router, 64],
  ])('ping without loss, and one hop: %s', async (_, from, to, hops) => {
    const text = await pings((...command) => inside(from, ...command), '-c 10 -i 0.1', to)
    expect(new Set([...text.matchAll(/ttl=(\d+)/g)].map(([, ttl]) => Number(ttl)))).toEqual(new Set([hops]))
  })

  test('packets of all sizes up to the MTU', async () => {
    for (const size of [0, 1, 17, 18, 100, 1471, 1472])
      await pings((...command) => inside(a, ...command), `-M do -c 3 -i 0.1 -s ${size}`, b.address)
  })

  test.each([
    ['the time to live expires', '-t 1', b.address, 'From 10.0.1.1 icmp_seq=1 Time to live exceeded'],
    ['there is no route', '', '192.0.2.1', 'From 10.0.1.1 icmp_seq=1 Destination Net Unreachable'],
    ['the host doesn’t exist', '', '10.0.2.99', 'From 10.0.1.1 icmp_seq=1 Destination Host Unreachable'],
    [
      'the next router doesn’t exist',
      '',
      '10.8.0.1',
      'From 10.0.1.1 icmp_seq=1 Destination Host Unreachable',
    ],
  ])('tells when %s', (_, options, to, answer) => {
    expect(output(a, `ping -c 1 -W 10 ${options} ${to}`)).toContain(answer)
  })

  testIf(missing({ programs: ['traceroute'] }), 'traceroute names the hops', () => {
    const hops = (...options: string[]): (string | undefined)[] =>
      inside(a, 'traceroute', '-n', '-q', '1', '-w', '5', ...options, '10.9.0.1')
        .split('\n')
        .slice(1, -1)
        .map((line) => line.trim().split(/\s+/)[1])
    expect(hops()).toEqual(['10.0.1.1', '10.9.0.1'])
    expect(hops('-I')).toEqual(['10.0.1.1', '10.9.0.1'])
  })

  test('UDP to the router itself: port unreachable', () => {
    const send = `const s = require('dgram').createSocket('udp4'); s.connect(7, '10.0.1.1', () => s.send('x')); s.on('error', (e) => { console.log(e.code); s.close() })`
    expect(inside(a, process.execPath, '-e', send)).toBe('ECONNREFUSED\n')
  })

  test('iperf3 over TCP, then the counts of both sides and of the kernels are the same', async () => {
    const server = spawn('ip', ['netns', 'exec', b.netns, 'iperf3', '-s', '-1'], { stdio: 'ignore' })
    const ended = new Promise((resolve) => server.once('close', resolve))
    inside(
      b,
      'sh',
      '-c',
      'for i in $(seq 200); do ss -ltn | grep -q :5201 && exit 0; sleep 0.05; done; exit 1',
    )
    const result = JSON.parse(inside(a, 'iperf3', '-c', b.address, '-n', '20M', '-J')) as {
      end: { sum_received: { bytes: number } }
    }
    await ended
    expect(result.end.sum_received.bytes).toBeGreaterThan(5e6)

    // No packet is on its way any more: what the kernels count is final.
    const kernel = ends.map((end) => {
      const [{ stats64 }] = JSON.parse(inside(end, 'ip', '-j', '-s', 'link', 'show', end.tap)) as [
        { stats64: Record<'rx' | 'tx', { packets: number; dropped: number; errors: number }> },
      ]
      return stats64
    })
    for (const end of ends) {
      const errors = inside(
        end,
        'nstat',
        '-asz',
        'IpInHdrErrors',
        'TcpInCsumErrors',
        'UdpInCsumErrors',
        'IcmpInCsumErrors',
      )
      const counts = [...errors.matchAll(/Errors\s+(\d+)/g)].map(([, count]) => Number(count))
      expect(counts).toEqual([0, 0, 0, 0])
    }
    const { stdout } = await tool.kill()
    const [{ devices, app }] = objects(stdout, 'end') as unknown as [
      {
        devices: Record<'rx' | 'tx', { packets: number }>[]
        app: { counters: Record<string, number> }
      },
    ]
    devices.forEach(({ rx, tx }, i) => {
      expect({ i, packets: rx.packets }).toEqual({ i, packets: kernel[i].tx.packets })
      expect({ i, packets: tx.packets }).toEqual({ i, packets: kernel[i].rx.packets })
    })
    const { routed, local, invalid, ignored, no_route, no_host, expired } = app.counters
    expect(routed + local + ignored + no_route + expired).toBe(devices[0].rx.packets + devices[1].rx.packets)
    expect({ invalid, no_route, no_host }).toEqual({ invalid: 0, no_route: 1, no_host: 2 })
    expect(expired).toBeGreaterThan(0)
  }, 60_000)
})
