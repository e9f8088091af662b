/** A tunnel whose other end is Linux's own vxlan, between two network namespaces, judged by what is in them. */
import { spawn } from 'node:child_process'
import path from 'node:path'
import { pings } from '../pings.ts'
import { Tool, describeIf, missing, objects, sh, temporaryDirectory } from './support.ts'

const programs = ['ip', 'ping', 'iperf3', 'nstat', 'tshark']

const OUTSIDE = [
  {
    ip: 4,
    local: '192.0.2.1',
    remote: '192.0.2.2',
    prefix: 24,
    options: ['--udp-checksum', 'on'],
    mtu: 1450,
  },
  { ip: 6, local: '2001:db8::1', remote: '2001:db8::2', prefix: 64, options: [], mtu: 1430 },
]

interface Stats {
  readonly packets: number
}

/** What the kernel counts of one direction. */
interface KernelStats extends Stats {
  readonly dropped: number
}

describeIf(missing({ root: true, programs }), 'a tunnel to Linux', () => {
  describe.each(OUTSIDE)('over IPv$ip', ({ ip, local, remote, prefix, options, mtu }) => {
    const id = `${process.pid % 100_000}${ip}`
    const [far, near] = ['o', 'i'].map((name) => ({ netns: `ixyt-${id}-${name}`, tap: `ixt${id}${name}` }))
    const inside = (end: { netns: string }, ...args: string[]): string =>
      sh('ip', 'netns', 'exec', end.netns, ...args)
    const output = (end: { netns: string }, command: string): string =>
      inside(end, 'sh', '-c', `${command} 2>&1 || true`)
    const capture = path.join(temporaryDirectory(), 'outer.pcap')
    let tool: Tool

    beforeAll(async () => {
      for (const { tap } of [far, near]) sh('ip', 'tuntap', 'add', 'dev', tap, 'mode', 'tap')
      tool = new Tool([
        ...['tunnel', `virtual:tap=${far.tap},record=${capture}`, `virtual:tap=${near.tap}`],
        ...[
          '--encap',
          'vxlan',
          '--vni',
          '42',
          '--local',
          `${local}/${prefix}`,
          '--remote',
          remote,
          ...options,
        ],
        ...['--json', '-i', '0.1', '--mode', 'adaptive'],
      ])
      await tool.until(/"interval"/)
      for (const { netns, tap } of [far, near]) {
        sh('ip', 'netns', 'add', netns)
        sh('ip', 'link', 'set', tap, 'netns', netns)
        inside({ netns }, 'ip', 'link', 'set', 'lo', 'up')
      }
      inside(far, 'ip', 'addr', 'add', `${remote}/${prefix}`, 'dev', far.tap, ...(ip === 6 ? ['nodad'] : []))
      inside(far, 'ip', 'link', 'set', far.tap, 'up')
      const link = ['link', 'add', 'vx', 'type', 'vxlan', 'id', '42', 'dstport', '4789', 'dev', far.tap]
      inside(far, 'ip', ...link, 'local', remote, 'remote', local, ...(ip === 6 ? [] : ['udpcsum']))
      for (const [end, device, n] of [
        // What is sent to an interface that is still down would be refused.
        [near, near.tap, 1],
        [far, 'vx', 2],
      ] as const) {
        inside(end, 'ip', 'addr', 'add', `10.0.0.${n}/24`, 'dev', device)
        inside(end, 'ip', 'addr', 'add', `fd00::${n}/64`, 'dev', device, 'nodad')
        inside(end, 'ip', 'link', 'set', device, 'up')
      }
    }, 60_000)

    afterAll(async () => {
      await tool.kill()
      for (const { netns, tap } of [far, near])
        sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || ip link del ${tap} 2>/dev/null || true`)
    })

    test.each([
      ['IPv4 there', near, '10.0.0.2'],
      ['IPv4 back', far, '10.0.0.1'],
      ['IPv6 there', near, 'fd00::2'],
      ['IPv6 back', far, 'fd00::1'],
      ['this end itself', far, local],
    ])('pings without loss: %s', (_, from, to) =>
      pings((...command) => inside(from, ...command), '-c 5 -i 0.05', to),
    )

    test('Linux has found the address of this end, and the same MTU', () => {
      expect(output(far, `ip neigh show ${local}`)).toMatch(/lladdr 02:00:/)
      expect(output(far, 'ip link show vx')).toContain(`mtu ${mtu} `)
    })

    test('what is too big is told so, with what fits: IPv4 and IPv6; what fits arrives', async () => {
      expect(output(near, 'ping -M do -c 1 -W 5 -s 1472 10.0.0.2')).toContain(`mtu = ${mtu}`)
      expect(output(near, 'ping -M do -c 1 -W 5 -s 1452 fd00::2')).toContain(`mtu=${mtu}`)
      // Linux has believed it.
      expect(output(near, 'ip route get 10.0.0.2')).toContain(`mtu ${mtu}`)
      const arrives = (size: number, to: string): Promise<string> =>
        pings((...command) => inside(near, ...command), `-M do -c 1 -s ${size}`, to)
      for (const size of [0, 1, 17, 18, 1000, mtu - 28]) await arrives(size, '10.0.0.2')
      for (const size of [1, 1000, mtu - 48]) await arrives(size, 'fd00::2')
    })

    test('iperf3 over TCP and UDP, both directions, without a wrong checksum', async () => {
      const runs = [
        ['-n', '4M'],
        ['-n', '4M', '-R'],
        ['-u', '-b', '20M', '-n', '1M'],
        ['-u', '-b', '20M', '-n', '1M', '-R'],
      ]
      let lost = 0
      const server = spawn('ip', ['netns', 'exec', far.netns, 'iperf3', '-s'], { stdio: 'ignore' })
      const ended = new Promise((resolve) => server.once('close', resolve))
      const listening = 'for i in $(seq 200); do ss -ltn | grep -q :5201 && exit 0; sleep 0.05; done; exit 1'
      inside(far, 'sh', '-c', listening)
      for (const options of runs) {
        const text = inside(near, 'iperf3', '-c', '10.0.0.2', '-J', ...options)
        const { end, error = null } = JSON.parse(text) as {
          end: { sum_received?: { bytes: number }; sum?: { lost_packets: number } }
          error?: string
        }
        expect({ options, error }).toEqual({ options, error: null })
        if (options[0] === '-n') expect(end.sum_received?.bytes).toBeGreaterThan(1e6)
        else lost += end.sum?.lost_packets ?? NaN
      }
      server.kill()
      await ended
      // A receiver that doesn't get to run for a while loses some, in its socket; nobody else does.
      const full = [far, near].map((end) =>
        Number(/UdpRcvbufErrors\s+(\d+)/.exec(inside(end, 'nstat', '-asz', 'UdpRcvbufErrors'))?.[1]),
      )
      expect(lost).toBeLessThanOrEqual(full[0] + full[1])
      for (const end of [far, near]) {
        const names = [
          'IpInHdrErrors',
          'TcpInCsumErrors',
          'UdpInCsumErrors',
          'IcmpInCsumErrors',
          'Udp6InCsumErrors',
        ]
        const counts = [...inside(end, 'nstat', '-asz', ...names).matchAll(/Errors\s+(\d+)/g)].map(
          ([, count]) => Number(count),
        )
        expect(counts).toEqual(names.map(() => 0))
      }
    }, 60_000)

    test('every packet has one fate; ours, the kernel’s and the capture’s counts are the same', async () => {
      const { stdout, stderr, code } = await tool.kill()
      expect({ code, stderr }).toMatchObject({ code: 0 })
      const [{ devices, app }] = objects(stdout, 'end') as unknown as [
        { devices: Record<'rx' | 'tx', Stats>[]; app: { counters: Record<string, number> } },
      ]
      // The interfaces outlive the tool, and so do their counts.
      const kernel = [far, near].map((end) => {
        const [{ stats64 }] = JSON.parse(inside(end, 'ip', '-j', '-s', 'link', 'show', end.tap)) as [
          { stats64: Record<'rx' | 'tx', KernelStats> },
        ]
        return stats64
      })
      devices.forEach(({ rx, tx }, i) => {
        expect({ i, packets: rx.packets }).toEqual({ i, packets: kernel[i].tx.packets })
        // What it has taken it may drop on a busy machine.
        const { packets, dropped } = kernel[i].rx
        expect({ i, packets: tx.packets }).toEqual({ i, packets: packets + dropped })
      })
      const [outer, inner] = devices
      const { encapsulated, decapsulated, outer_answered, outer_noted, asked, ...rest } = app.counters
      const { too_big, told_too_big, other_host, other_protocol, ...others } = rest
      expect(decapsulated + outer_answered + outer_noted + other_host + other_protocol).toBe(outer.rx.packets)
      expect(encapsulated + too_big).toBe(inner.rx.packets)
      expect(encapsulated + outer_answered + asked).toBe(outer.tx.packets)
      expect(decapsulated + told_too_big).toBe(inner.tx.packets)
      expect(Object.values(others).every((count) => count === 0) ? {} : others).toEqual({})
      expect({ too_big, told_too_big }).toEqual({ too_big: 2, told_too_big: 2 })
      expect(encapsulated).toBeGreaterThan(1000)

      const read = (filter: string): number => {
        const checks = ['ip.check_checksum:TRUE', 'udp.check_checksum:TRUE', 'tcp.check_checksum:TRUE']
        const args = ['-r', capture, ...checks.flatMap((check) => ['-o', check]), '-Y', filter]
        return sh('tshark', ...args, '-T', 'fields', '-e', 'frame.number').split('\n').length - 1
      }
      expect(read('frame')).toBe(outer.tx.packets)
      expect(read('vxlan.vni == 42')).toBe(encapsulated)
      expect(read('_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0')).toBe(0)
    }, 60_000)
  })
})
