/** Linux as the peer of pktgen: it resolves the addresses that pktgen answers for, and takes the packets of a profile for its own. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { pings } from '../pings.ts'
import { Tool, becomes, describeIf, missing, objects, sh, temporaryDirectory } from './support.ts'

describeIf(
  missing({ root: true, programs: ['ip', 'ping'] }),
  'pktgen and the Linux stack behind a TAP',
  () => {
    const directory = temporaryDirectory()
    const netns = `ixyts-${process.pid}-p`
    const tap = `ixt${process.pid % 100000}p`
    const MAC = '02:00:00:00:99:02'
    const inside = (...args: string[]): string => sh('ip', 'netns', 'exec', netns, ...args)

    beforeAll(() => {
      sh('ip', 'netns', 'add', netns)
      inside('ip', 'link', 'set', 'lo', 'up')
      inside('ip', 'tuntap', 'add', 'dev', tap, 'mode', 'tap')
      inside('ip', 'link', 'set', 'dev', tap, 'address', MAC)
      inside('ip', 'addr', 'add', '10.98.0.2/24', 'dev', tap)
      inside('ip', 'addr', 'add', 'fd00:98::2/64', 'dev', tap, 'nodad')
      inside('ip', 'link', 'set', tap, 'up')
    })
    afterAll(() => void sh('ip', 'netns', 'del', netns))

    /** What sockets have got, as the kernel counts it. */
    function delivered(): { udp: number; udp6: number; errors: number } {
      const [names, values] = inside('cat', '/proc/net/snmp')
        .split('\n')
        .filter((line) => line.startsWith('Udp:'))
        .map((line) => line.split(' '))
      const ipv6 = new Map(
        inside('cat', '/proc/net/snmp6')
          .split('\n')
          .map((line) => line.split(/\s+/) as [string, string]),
      )
      const udp = (name: string): number => Number(values[names.indexOf(name)])
      const udp6 = (name: string): number => Number(ipv6.get(`Udp6${name}`))
      const errors = ['InErrors', 'InCsumErrors', 'NoPorts'].map((name) => udp(name) + udp6(name))
      return {
        udp: udp('InDatagrams'),
        udp6: udp6('InDatagrams'),
        errors: errors.reduce((all, count) => all + count, 0),
      }
    }

    test('every packet of a profile reaches a listening socket', async () => {
      const script = `for (const type of ['udp4', 'udp6'])
      require('dgram').createSocket({ type, ipv6Only: type === 'udp6' }).on('message', () => undefined).bind(1337, () => console.log('ready'))`
      const listener = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let ready = 0
      listener.stdout.on('data', (text: Buffer) => (ready += text.toString().match(/ready/g)?.length ?? 0))
      try {
        expect(await becomes(() => ready === 2, 20_000)).toBe(true)
        const file = path.join(directory, 'streams.yaml')
        writeFileSync(
          file,
          `streams:
  - { name: four, rate: 1kpps, count: 300, src-ip: 10.98.0.10-10.98.0.90, dst-ip: 10.98.0.2, dst-mac: "${MAC}" }
  - { name: sum, rate: 1kpps, count: 200, src-ip: 10.98.0.1, dst-ip: 10.98.0.2, dst-mac: "${MAC}", udp-checksum: on }
  - { name: six, rate: 1kpps, count: 400, src-ip: fd00:98::100/120, dst-ip: fd00:98::2, dst-mac: "${MAC}",
      order: random, src-port: 2000-2999, size: [70, 333] }
`,
        )
        const before = delivered()
        const args = ['pktgen', `virtual:tap=${tap}`, '--profile', file, '--json', '--queues', '2']
        const { code, stdout } = await new Tool(args, { netns }).end()
        expect(code).toBe(0)
        expect(objects(stdout, 'end')[0]).toMatchObject({
          reason: 'count',
          streams: [
            { name: 'four', sent: 300, returned: null, lost: null },
            { name: 'sum', sent: 200 },
            { name: 'six', sent: 400 },
          ],
        })
        const got = (): object => {
          const now = delivered()
          return {
            udp: now.udp - before.udp,
            udp6: now.udp6 - before.udp6,
            errors: now.errors - before.errors,
          }
        }
        const wanted = { udp: 500, udp6: 400, errors: 0 }
        await becomes(() => JSON.stringify(got()) === JSON.stringify(wanted), 10_000)
        expect(got()).toEqual(wanted)
      } finally {
        listener.kill('SIGKILL')
      }
    }, 60_000)

    test('--answer: the kernel resolves and pings the addresses', async () => {
      const shape = ['--src-ip', '10.98.0.1-10.98.0.9', '--dst-ip', '10.98.0.2', '--dst-mac', MAC]
      const answer = ['--answer', '10.98.0.1-10.98.0.9,fd00:98::1', '--rate', '1kpps', '--json', '-i', '0.1']
      const tool = new Tool(['pktgen', `virtual:tap=${tap}`, ...shape, ...answer], { netns })
      await tool.until(/"interval"/)
      const addresses = ['10.98.0.1', '10.98.0.9', 'fd00:98::1']
      for (const address of addresses) await pings(inside, '-c 3 -i 0.1', address)
      const neighbours = inside('ip', 'neigh', 'show', 'dev', tap)
      for (const address of addresses)
        expect(neighbours).toMatch(new RegExp(`^${address} lladdr 02:69:78:79:00:01 REACHABLE`, 'm'))
      const { code, stdout } = await tool.kill('SIGTERM')
      expect(code).toBe(0)
      const [{ answered }] = objects(stdout, 'end') as { answered: Record<string, number> }[]
      expect(answered['ping']).toBe(9)
      expect(answered['arp']).toBeGreaterThanOrEqual(2)
      expect(answered['neighbour']).toBeGreaterThanOrEqual(1)
    }, 60_000)
  },
)
