import { readAddresses, readMacs, readPorts } from '../../../src/apps/pktgen/templates/range.ts'
import { shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import { STREAM_OPTIONS, type StreamFlags } from '../../../src/apps/pktgen/templates/stream-options.ts'
import { formatIpv6 } from '../../../src/packet/ipv6.ts'

const usage = (message: RegExp): Error =>
  expect.objectContaining({
    code: 'IXY_ERR_USAGE',
    message: expect.stringMatching(message) as unknown,
  }) as Error

describe('a range', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1', 1],
    ['10.0.0.1-10.0.0.254', '10.0.0.1', 254],
    ['10.0.0.200-10.0.1.10', '10.0.0.200', 67],
    ['10.0.0.77/24', '10.0.0.0', 256],
    ['10.0.0.1/32', '10.0.0.1', 1],
    ['255.255.255.255-255.255.255.255', '255.255.255.255', 1],
    ['192.0.2.1/2', '192.0.0.0', 2 ** 30],
  ])('%s', (text, first, count) => {
    const range = readAddresses('--src-ip', text)
    expect([range.first.join('.'), range.count]).toEqual([first, count])
  })

  test.each([
    ['fd00::1', 'fd00::1', 1],
    ['fd00::1-fd00::ff', 'fd00::1', 255],
    ['fd00::1234/112', 'fd00::', 65_536],
    ['::ffff-::1:0', '::ffff', 2],
  ])('%s', (text, first, count) => {
    const range = readAddresses('--src-ip', text)
    expect([formatIpv6(range.first), range.count]).toEqual([first, count])
  })

  test.each([
    ['02:00:00:00:00:01', 1],
    ['02-00-00-00-00-01', 1],
    ['02:00:00:00:00:01-02:00:00:00:01:00', 256],
    ['02-00-00-00-00-01-02-00-00-00-00-02', 2],
  ])('%s', (text, count) => {
    expect(readMacs('--src-mac', text)).toEqual({ first: Uint8Array.of(2, 0, 0, 0, 0, 1), count })
  })

  test('of ports', () => {
    expect(readPorts('--src-port', '1024-2047')).toEqual({ first: 1024, count: 1024 })
    expect(readPorts('--src-port', '0-65535')).toEqual({ first: 0, count: 65_536 })
  })

  test.each([
    ['10.0.0.2-10.0.0.1', /--src-ip 10.0.0.2-10.0.0.1 is backwards; give the first and then the last/],
    ['10.0.0.0/33', /--src-ip 10.0.0.0\/33 .* at most 32 bits/],
    ['0.0.0.0/0', /has more than 1073741824 addresses; give a prefix of at least 2 bits/],
    ['fd00::/64', /has more than 1073741824 addresses; give a prefix of at least 98 bits/],
    ['fd00::1-fd01::1', /differ in more than their last 32 bits/],
    ['10.0.0.1-fd00::1', /goes from one version/],
    ['10.0.0.1-2-3', /give the first and the last, as in/],
    ['10.0.0.300', /not an IPv4 address/],
    ['', /not an IPv4 address/],
  ])('that is none: %s', (text, message) => {
    expect(() => readAddresses('--src-ip', text)).toThrow(usage(message))
  })

  test.each(['1-0', '1-2-3', '65536', '1-', '-1', ''])('of ports that is none: %j', (text) => {
    expect(() => readPorts('--src-port', text)).toThrow(usage(/--src-port/))
  })
})

/** As the command line reads them. */
function shape(texts: Partial<Record<keyof StreamFlags, string>>, mtu = 1500): ReturnType<typeof shapeOf> {
  const flags = Object.fromEntries(
    (Object.keys(texts) as (keyof StreamFlags)[]).map((flag) => {
      const { name, read } = STREAM_OPTIONS[flag]
      return [flag, read(`--${name}`, texts[flag] ?? '')]
    }),
  )
  return shapeOf(flags, { mtu, payload: 0, called: (name) => `--${name}` })
}

describe('packets', () => {
  test('are as short as can be by default', () => {
    expect(shape({}).sizes).toEqual([60])
    expect(shape({ srcIp: 'fd00::1' }).sizes).toEqual([69])
    expect(shape({ proto: 'tcp' }).sizes).toEqual([61])
    expect(shape({ vxlan: '7' }).sizes).toEqual([99])
    expect(shape({ imix: '', proto: 'tcp', vlan: '1,2' }).sizes.slice(0, 3)).toEqual([69, 566, 69])
  })

  test('of IPv6 have another end of IPv6, and checksums', () => {
    const { template } = shape({ dstIp: '2001:db8::1' })
    expect([formatIpv6(template.sourceIp), formatIpv6(template.destinationIp)]).toEqual([
      'fd00::1',
      '2001:db8::1',
    ])
    expect(template.udpChecksum).toBe(true)
  })

  test('flows are source ports', () => {
    expect(shape({ flows: '3' }).counts).toMatchObject({ sourcePort: 3 })
    expect(shape({ flows: '1', srcPort: '5-6' }).counts).toMatchObject({ sourcePort: 2 })
  })
})

test.each<[Partial<Record<keyof StreamFlags, string>>, RegExp]>([
  [{ srcIp: '10.0.0.1', dstIp: 'fd00::1' }, /--src-ip and --dst-ip are not of the same IP version/],
  [
    { vxlan: '1', outerSrcIp: '10.0.0.1', outerDstIp: 'fd00::1' },
    /--outer-src-ip and --outer-dst-ip are not/,
  ],
  [{ vxlan: '1', outerSrcIp: '10.0.0.0/24' }, /--outer-src-ip 10.0.0.0\/24 is a range/],
  [{ outerVlan: '1' }, /--outer-vlan means nothing without --vxlan; give --vxlan <vni>/],
  [{ proto: 'icmp', flows: '2' }, /--flows means nothing for ICMP/],
  [{ proto: 'icmp', dstPort: '2' }, /--dst-port means nothing for ICMP/],
  [{ tcpFlags: 'syn' }, /--tcp-flags means nothing for udp; give --proto tcp/],
  [{ proto: 'tcp', tcpFlags: 'sin' }, /--tcp-flags SIN .* one of FIN, SYN/],
  [{ proto: 'tcp', udpChecksum: 'on' }, /--udp-checksum means nothing for tcp/],
  [{ srcIp: 'fd00::1', udpChecksum: 'off' }, /UDP over IPv6 has its checksum always/],
  [{ proto: 'sctp' }, /--proto sctp is not valid; give one of udp, tcp, icmp/],
  [{ flows: '2', srcPort: '1-2' }, /--flows is a range of source ports, and --src-port another/],
  [{ seed: '1' }, /--seed means nothing where nothing is random; give --order random/],
  [{ order: 'shuffle' }, /--order shuffle is not valid; give one of turn, product, random/],
  [{ vlan: '1,2,3' }, /--vlan 1,2,3 is not valid; give at most 2/],
  [{ vlan: '0' }, /--vlan 0 .* from 1 to 4094/],
  [{ size: '60', proto: 'tcp' }, /--size 60 is too short .* at least 61/],
  [{ size: '1519', vlan: '1,2' }, /--size 1519 is not valid; give at most 1518 with --mtu 1500 and --vlan/],
  [{ size: '1515', vlan: '1', vxlan: '1' }, /--size 1515 is not valid; give at most 1514 with --mtu 1500/],
])('%j is refused', (texts, message) => {
  expect(() => shape(texts)).toThrow(usage(message))
})
