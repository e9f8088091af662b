/** Random command lines of pktgen that are right, and what their packets are to be. */
import fc from 'fast-check'
import { readAddresses, readMacs, readPorts } from '../../../src/apps/pktgen/templates/range.ts'
import { type Shape, shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import type { StreamFlags } from '../../../src/apps/pktgen/templates/stream-options.ts'

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 4094 }), { minLength: 1, maxLength: 2 })
const order = fc.constantFrom('turn' as const, 'product' as const, 'random' as const)

const addresses = {
  4: fc.constantFrom('192.0.2.1', '10.1.0.0/24', '10.0.255.250-10.1.0.3', '255.255.255.255', '172.16.0.0/12'),
  6: fc.constantFrom('fd00::1', 'fd00::ffff:0/112', 'fd00::fffe-fd00::1:0005', '2001:db8::/100'),
}
const outer = {
  4: fc.constantFrom('192.0.2.77', '198.51.100.1'),
  6: fc.constantFrom('fd01::1', 'fd01::aaaa:bbbb'),
}
// Not those that mean something to tshark.
const ports = fc.constantFrom('20000', '20000-20010', '65530-65535', '49152-65535')
const macs = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:ff:f0-02:00:00:01:00:0f')

/** Flags as the command line reads them, but for sizes. */
export const streamFlags: fc.Arbitrary<StreamFlags> = fc
  .record({
    version: fc.constantFrom(4 as const, 6 as const),
    outerVersion: fc.constantFrom(4 as const, 6 as const),
    proto: fc.constantFrom('udp' as const, 'tcp' as const, 'icmp' as const),
    carried: fc.boolean(),
  })
  .chain(({ version, outerVersion, proto, carried }) => {
    const address = addresses[version].map((text) => readAddresses('ip', text))
    const port = ports.map((text) => readPorts('port', text))
    const mac = macs.map((text) => readMacs('mac', text))
    const one = outer[outerVersion].map((text) => readAddresses('ip', text).first)
    return fc.record(
      {
        proto: fc.constant(proto),
        srcIp: address,
        dstIp: address,
        srcMac: mac,
        dstMac: mac,
        order,
        vlan: ids,
        ...(proto === 'icmp' ? {} : { srcPort: port, dstPort: port }),
        ...(proto === 'tcp' ? { tcpFlags: fc.integer({ min: 1, max: 255 }) } : {}),
        ...(proto === 'udp' && version === 4 ? { udpChecksum: fc.boolean() } : {}),
        ...(carried
          ? { vxlan: fc.integer({ min: 0, max: 0xffffff }), outerVlan: ids, outerSrcIp: one, outerDstIp: one }
          : {}),
      },
      {
        requiredKeys: [
          'proto',
          'srcIp',
          'dstIp',
          ...(carried ? (['vxlan', 'outerSrcIp', 'outerDstIp'] as const) : []),
        ],
      },
    )
  })

/** Shapes of up to three sizes in turn, from the shortest on. */
export const shapes: fc.Arbitrary<Shape> = fc
  .record({
    flags: streamFlags,
    more: fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 3 }),
    seed: fc.nat(),
  })
  .map(({ flags, more, seed }) => {
    const surroundings = { mtu: 1500, payload: 0, called: (name: string) => name }
    const wanted = { ...flags, ...(flags.order === 'random' ? { seed } : {}) }
    const { sizes } = shapeOf(wanted, surroundings)
    return shapeOf({ ...wanted, size: more.map((bytes) => sizes[0] + bytes) }, surroundings)
  })
