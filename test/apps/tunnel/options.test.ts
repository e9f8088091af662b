/** What a command line makes, and what it can't. */
import { formatAddress, type TunnelFlags, tunnelOptions } from '../../../src/apps/tunnel/options.ts'
import { DEFAULTS } from './rig.ts'

const VXLAN: Partial<TunnelFlags> = { encap: 'vxlan', vni: 42 }
const BOTH: Partial<TunnelFlags> = { local: '192.0.2.1/24', remote: '192.0.2.2' }
const options = (flags: Partial<TunnelFlags>): ReturnType<typeof tunnelOptions> =>
  tunnelOptions({ ...DEFAULTS, ...flags })

test.each<[string, Partial<TunnelFlags>, RegExp]>([
  ['nothing', {}, /tunnel needs --encap; give one of vxlan, geneve, fou/],
  ['no own address', { ...VXLAN }, /needs --local; give the address of this end/],
  ['no other end', { ...VXLAN, local: '192.0.2.1' }, /needs --remote; .*--map/],
  ['no network identifier', { ...BOTH, encap: 'geneve' }, /--encap geneve needs --vni; .*0 to 16777215/],
  ['one for fou', { ...BOTH, encap: 'fou', port: 5, vni: 1 }, /--vni means nothing with --encap fou/],
  ['no port for fou', { ...BOTH, encap: 'fou' }, /--encap fou needs --port; .*ip fou add port/],
  ['one port for both', { ...BOTH, encap: 'fou', port: 5, port6: 5 }, /--port6 5 is that of --port/],
  ['a second port for vxlan', { ...VXLAN, ...BOTH, port6: 5 }, /--port6 means nothing with --encap vxlan/],
  ['no address', { ...VXLAN, ...BOTH, local: 'host' }, /'host' is not an IPv4 address/],
  ['a bad prefix', { ...VXLAN, ...BOTH, local: '192.0.2.1/33' }, /prefix 33 is not valid.* 0 to 32/],
  ['a group as own address', { ...VXLAN, ...BOTH, local: '239.0.0.1' }, /239.0.0.1 is no address of a host/],
  [
    'a group as other end',
    { ...VXLAN, ...BOTH, remote: '239.0.0.1' },
    /239.0.0.1 is no .* groups .* not supported/,
  ],
  [
    'itself as other end',
    { ...VXLAN, ...BOTH, remote: '192.0.2.1' },
    /remote 192.0.2.1 is the address of this end/,
  ],
  ['IPv4 to IPv6', { ...VXLAN, ...BOTH, remote: '2001:db8::2' }, /not of the same IP version/],
  [
    'an end elsewhere',
    { ...VXLAN, ...BOTH, remote: '198.51.100.1' },
    /not on the link 192.0.2.1\/24; .*--gateway/,
  ],
  [
    'a gateway elsewhere',
    { ...VXLAN, ...BOTH, gateway: '198.51.100.1' },
    /--gateway 198.51.100.1 is not on the link 192.0.2.1\/24/,
  ],
  [
    'the network as other end',
    { ...VXLAN, ...BOTH, remote: '192.0.2.0' },
    /192.0.2.0 is the address of the network \/24/,
  ],
  [
    'its broadcast as gateway',
    { ...VXLAN, ...BOTH, gateway: '192.0.2.255' },
    /192.0.2.255 is .* or its broadcast/,
  ],
  ['itself as gateway', { ...VXLAN, ...BOTH, gateway: '192.0.2.1' }, /--gateway 192.0.2.1 is not valid/],
  [
    'one end and several',
    { ...VXLAN, ...BOTH, map: ['vni=1,remote=192.0.2.2'] },
    /--map goes without --remote/,
  ],
  ['a map without end', { encap: 'vxlan', local: '192.0.2.1', map: ['vni=1'] }, /--map vni=1 has no remote=/],
  [
    'a map of nonsense',
    { encap: 'vxlan', local: '192.0.2.1', map: ['vni:1'] },
    /--map vni:1 .*vlan=10,vni=42,/,
  ],
  [
    'an identifier twice',
    { encap: 'vxlan', local: '192.0.2.1', map: ['vlan=1,vni=1,remote=192.0.2.2', 'vni=1,remote=192.0.2.3'] },
    /--map: vni 1 is there twice/,
  ],
  [
    'a VLAN twice',
    {
      encap: 'vxlan',
      local: '192.0.2.1',
      map: ['vlan=1,vni=1,remote=192.0.2.2', 'vlan=1,vni=2,remote=192.0.2.3'],
    },
    /--map: vlan 1 is there twice/,
  ],
  [
    'an end twice with fou',
    { encap: 'fou', port: 5, local: '192.0.2.1', map: ['vlan=1,remote=192.0.2.2', 'remote=192.0.2.2'] },
    /--map: remote 192.0.2.2 is there twice/,
  ],
  [
    'a VLAN that is none',
    { encap: 'vxlan', local: '192.0.2.1', map: ['vlan=4095,vni=1,remote=192.0.2.2'] },
    /--map vlan=4095 is not valid.* 1 to 4094/,
  ],
])('refused: %s', (_, flags, message) => {
  expect(() => options(flags)).toThrow(message)
  expect(() => options(flags)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
})

test('ends on the link are reached directly, others through the gateway; each next hop is there once', () => {
  const map = ['192.0.2.2', '198.51.100.1', '198.51.100.2', '192.0.2.2'].map(
    (remote, i) => `vlan=${i + 1},vni=${i},remote=${remote}`,
  )
  const { hops, networks } = options({ encap: 'vxlan', local: '192.0.2.1/24', gateway: '192.0.2.254', map })
  expect(hops.map(formatAddress)).toEqual(['192.0.2.2', '192.0.2.254'])
  expect(networks.map(({ hop }) => hop)).toEqual([0, 1, 1, 0])
})

test.each<[Partial<TunnelFlags>, string[]]>([
  [{ local: '192.0.2.1', remote: '198.51.100.1' }, ['198.51.100.1']],
  [{ local: '192.0.2.1', remote: '198.51.100.1', gateway: '192.0.2.9' }, ['192.0.2.9']],
  [{ local: '192.0.2.0/31', remote: '192.0.2.1' }, ['192.0.2.1']],
  [{ local: '10.1.2.129/25', remote: '10.1.2.130' }, ['10.1.2.130']],
  [{ local: '2001:db8::1/64', remote: '2001:db8:1::2', gateway: 'fe80::1' }, ['fe80::1']],
  [{ local: '2001:db8::1/60', remote: '2001:db8:0:f::2' }, ['2001:db8:0:f::2']],
])('%j goes by way of %j', (flags, hops) => {
  expect(options({ ...VXLAN, ...flags }).hops.map(formatAddress)).toEqual(hops)
})

test('defaults', () => {
  expect(options({ ...VXLAN, ...BOTH })).toMatchObject({
    port: 4789,
    udpChecksum: false,
    vlan: null,
    ttl: 64,
    dscp: 0,
  })
  expect(options({ encap: 'geneve', vni: 1, local: '2001:db8::1', remote: '2001:db8::2' })).toMatchObject({
    port: 6081,
    udpChecksum: true,
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  })
})
