/**
 * `ixy-ts tunnel` at the host, a guest's Linux at the other end: Geneve, and IP in UDP as `ip fou` has it with ipip and sit. The
 * guest's card and the tunnel's outer device are on one bridge.
 */
import assert from 'node:assert/strict'
import { HostNetwork } from '../harness/host-network.ts'
import { stream } from '../harness/iperf3.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { type Started, start, until } from '../harness/processes.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const [CARD, OUTER, INNER] = ['ixytap0', 'ixytap1', 'ixytap2']
const MEGABYTES = 2

interface Kind {
  readonly name: string
  readonly options: string
  /** Outside: this end, the guest. */
  readonly ends: readonly [string, string]
  /** The guest's interface. */
  readonly link: string
  /** Inside: this end, the guest. */
  readonly inside: readonly [string, string]
  readonly prefix: number
}

const V4 = ['192.0.2.1', '192.0.2.2'] as const
const V6 = ['2001:db8::1', '2001:db8::2'] as const
const FOU = '--encap fou --port 5555 --port6 5556'
const ENCAP = 'encap fou encap-sport auto encap-dport'

const KINDS: readonly Kind[] = [
  {
    ...{ name: 'Geneve over IPv4', options: '--encap geneve --vni 7', ends: V4 },
    link: 'type geneve id 7 remote 192.0.2.1',
    ...{ inside: ['10.0.0.1', '10.0.0.2'], prefix: 24 },
  },
  {
    ...{ name: 'Geneve over IPv6', options: '--encap geneve --vni 8', ends: V6 },
    link: 'type geneve id 8 remote 2001:db8::1',
    ...{ inside: ['fd00::1', 'fd00::2'], prefix: 64 },
  },
  {
    ...{ name: 'IPv4 in UDP', options: FOU, ends: V4 },
    link: `type ipip local 192.0.2.2 remote 192.0.2.1 ${ENCAP} 5555`,
    ...{ inside: ['10.0.1.1', '10.0.1.2'], prefix: 24 },
  },
  {
    ...{ name: 'IPv6 in UDP', options: FOU, ends: V4 },
    link: `type sit local 192.0.2.2 remote 192.0.2.1 ${ENCAP} 5556`,
    ...{ inside: ['fd01::1', 'fd01::2'], prefix: 64 },
  },
]

export const tunnel: Scenario = {
  name: 'tunnel',
  deadline: 300,
  async run(test) {
    const network = await HostNetwork.create(test, [CARD, OUTER, INNER])
    await network.ip('link', 'add', 'bridge', 'type', 'bridge')
    for (const tap of [CARD, OUTER]) await network.ip('link', 'set', tap, 'master', 'bridge')
    await network.ip('link', 'set', 'bridge', 'up')
    await network.exec(['sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${INNER}/disable_ipv6`])
    const socket = test.socket('card')
    await startVnic(test, [socket, '--wire', `tap=${CARD}`], [socket], (command) => network.inside(command))
    const guest = await test.boot({ devices: vnicDevice(socket), cpus: 1 })
    const nic = new LinuxNic(guest)
    await test.require('the guest is up, with its ends of the tunnels', async () => {
      const modules = ['ixgbe', 'geneve', 'ipip', 'sit', 'fou']
      await guest.sh(`for m in ${modules.join(' ')}; do load $m || exit 1; done`, 90)
      await nic.up(`${V4[1]}/24`)
      await guest.sh(`ip addr add ${V6[1]}/64 dev ${nic.name} nodad`)
      await guest.sh('ip fou add port 5555 ipproto 4 && ip fou add port 5556 ipproto 41 && iperf3 -s -D')
    })
    for (const kind of KINDS) await carry(test, network, nic, kind)
    await test.check('no packet with a wrong header or checksum in the guest', async () => {
      const counters = await guest.sh('cat /proc/net/snmp6')
      assert.match(counters, /^Ip6InHdrErrors\s+0$/m)
      assert.match(counters, /^Udp6InCsumErrors\s+0$/m)
      await assertNoDisaster(nic)
    })
    await guest.stop()
  },
}

async function carry(test: ScenarioContext, network: HostNetwork, nic: LinuxNic, kind: Kind): Promise<void> {
  const { name, options, ends, link, inside, prefix } = kind
  const { guest } = nic
  let end: Started
  const ready = await test.check(`${name}: both ends are up`, async () => {
    const launcher = `${test.environment.repository}/bin/ixy-ts`
    const command = [process.execPath, launcher, 'tunnel', `virtual:tap=${OUTER}`, `virtual:tap=${INNER}`]
    const more = ['--local', ends[0], '--remote', ends[1], '--mode', 'adaptive', '--json']
    end = start(network.inside([...command, ...options.split(' '), ...more]))
    test.cleanup(() => end.stop())
    await until('the tunnel runs', 30, () => end.output().includes('"event":"start"'))
    await network.ip('link', 'set', INNER, 'mtu', '1400', 'up')
    await network.ip(
      'addr',
      'replace',
      `${inside[0]}/${prefix}`,
      'dev',
      INNER,
      ...(prefix === 64 ? ['nodad'] : []),
    )
    await guest.sh(`ip link add end ${link} && ip link set end mtu 1400 up`)
    await guest.sh(`ip addr add ${inside[1]}/${prefix} dev end ${prefix === 64 ? 'nodad' : ''}`)
  })
  if (ready === false) return
  await test.check(`${name}: ping, from the guest and to it`, async () => {
    await nic.ping(inside[0])
    await network.ping(inside[1])
    const full = prefix === 64 ? 1400 - 48 : 1400 - 28
    await nic.ping(inside[0], `-c 5 -i 0.02 -M do -s ${full}`)
  })
  await test.check(`${name}: ${MEGABYTES} MB over TCP, both ways`, async () => {
    const client = (args: readonly string[]): Promise<string> => network.tool('iperf3', args, 120)
    for (const direction of [[], ['-R']]) {
      const { bytes } = await stream(client, '-c', inside[1], '-n', `${MEGABYTES}M`, ...direction)
      assert.ok(bytes > (MEGABYTES - 1) * 1e6, `${bytes} bytes`)
    }
  })
  await test.check(`${name}: each packet has one fate, and none is damaged`, async () => {
    await guest.sh('ip link del end')
    await network.ip('addr', 'flush', 'dev', INNER)
    end.child.kill('SIGTERM')
    assert.equal(await end.ended, 0, end.output())
    const last =
      end
        .output()
        .split('\n')
        .find((line) => line.includes('"event":"end"')) ?? '{}'
    const { devices, app } = JSON.parse(last) as {
      devices: Record<'rx' | 'tx', { packets: number }>[]
      app: { counters: Record<string, number> }
    }
    const { counters } = app
    const sum = (...names: string[]): number =>
      names.reduce((total, name) => total + (counters[name] ?? NaN), 0)
    const fine = ['decapsulated', 'outer_answered', 'outer_noted', 'other_host', 'other_protocol']
    assert.equal(sum(...fine), devices[0]?.rx.packets, JSON.stringify(counters))
    const sent = sum('encapsulated', 'inner_answered', 'inner_ignored', 'too_big')
    assert.equal(sent, devices[1]?.rx.packets, JSON.stringify(counters))
    assert.ok(sum('decapsulated') > 1000 && sum('encapsulated') > 1000, JSON.stringify(counters))
    return `${sum('encapsulated')} packets in, ${sum('decapsulated')} out`
  })
}
