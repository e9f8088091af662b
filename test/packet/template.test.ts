import { EthernetFrame, EtherType } from '../../src/packet/ethernet.ts'
import { formatIpv4, IpProtocol, Ipv4Packet } from '../../src/packet/ipv4.ts'
import { formatMac, parseMac } from '../../src/packet/mac.ts'
import {
  buildFrame,
  checkTemplate,
  DEFAULT_TEMPLATE,
  MAX_FLOWS,
  maxFrameBytes,
} from '../../src/packet/template.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'
import { VlanTag } from '../../src/packet/vlan.ts'

function dissect(frame: Uint8Array) {
  const [ethernet, tag, ip, udp] = [new EthernetFrame(), new VlanTag(), new Ipv4Packet(), new UdpDatagram()]
  expect(ethernet.wrap(frame)).toBe(true)
  const tagged = ethernet.type === EtherType.VLAN
  if (tagged) expect(tag.wrap(frame, ethernet.payloadOffset, ethernet.payloadLength)).toBe(true)
  const outer = tagged ? tag : ethernet
  expect(outer.type).toBe(EtherType.IPV4)
  expect(ip.wrap(frame, outer.payloadOffset, outer.payloadLength)).toBe(true)
  expect(udp.wrap(frame, ip.payloadOffset, ip.payloadLength)).toBe(true)
  const payload = frame.subarray(udp.payloadOffset, udp.payloadOffset + udp.payloadLength)
  return { ethernet, vlanId: tagged ? tag.id : null, ip, udp, payload }
}

describe('the default packet', () => {
  test('is that of ixy, byte for byte after the MAC addresses', () => {
    const frame = Buffer.from(buildFrame(DEFAULT_TEMPLATE, 60))
    expect(frame.subarray(12).toString('hex')).toBe(
      '0800' +
        '4500002e00000000' +
        '4011' +
        '66bd' +
        '0a0000010a000002' +
        '002a0539001a0000' +
        '697879' +
        '00'.repeat(15),
    )
  })

  test('is understood by the views', () => {
    const { vlanId, ip, udp, payload } = dissect(buildFrame(DEFAULT_TEMPLATE, 60))
    expect(vlanId).toBeNull()
    expect([ip.source, ip.destination].map(formatIpv4)).toEqual(['10.0.0.1', '10.0.0.2'])
    expect([ip.protocol, ip.timeToLive]).toEqual([IpProtocol.UDP, 64])
    expect(ip.checksumOk).toBe(true)
    expect([udp.sourcePort, udp.destinationPort, udp.checksum]).toEqual([42, 1337, 0])
    expect(Buffer.from(payload.subarray(0, 3)).toString()).toBe('ixy')
    expect(payload.length).toBe(60 - 42)
  })
})

test.each([60, 61, 566, 1514, 9014])('%i bytes: lengths fill the frame', (size) => {
  const { ip, udp } = dissect(buildFrame(DEFAULT_TEMPLATE, size))
  expect(ip.length).toBe(size - 14)
  expect(udp.length).toBe(size - 34)
  expect(ip.checksumOk).toBe(true)
})

test('a VLAN tag takes its space from the payload', () => {
  const frame = buildFrame({ ...DEFAULT_TEMPLATE, vlans: [42] }, 60, 3)
  const { vlanId, ip, udp } = dissect(frame)
  expect([frame[12], frame[13]]).toEqual([0x81, 0x00])
  expect(vlanId).toBe(42)
  expect(ip.length).toBe(60 - 18)
  expect(udp.sourcePort).toBe(45)
})

test('everything that can be set is', () => {
  const { ethernet, ip, udp } = dissect(
    buildFrame(
      {
        ...DEFAULT_TEMPLATE,
        sourceMac: parseMac('52:54:00:00:00:01'),
        destinationMac: parseMac('52:54:00:00:00:02'),
        sourceIp: Uint8Array.of(192, 168, 0, 1),
        destinationIp: Uint8Array.of(192, 168, 0, 2),
        sourcePort: 1000,
        destinationPort: 65535,
      },
      100,
      7,
    ),
  )
  expect([6, 0].map((at) => formatMac(ethernet.u8, at))).toEqual(['52:54:00:00:00:01', '52:54:00:00:00:02'])
  expect([ip.source, ip.destination].map(formatIpv4)).toEqual(['192.168.0.1', '192.168.0.2'])
  expect(ip.checksumOk).toBe(true)
  expect([udp.sourcePort, udp.destinationPort]).toEqual([1007, 65535])
})

describe('what can’t be built is refused', () => {
  const usage = expect.objectContaining({ code: 'IXY_ERR_USAGE' })
  test.each([59, 9015, 60.5, NaN, -1])('size %p', (size) => {
    expect(() => checkTemplate(DEFAULT_TEMPLATE, size, 1)).toThrow(usage)
  })
  test.each([0, MAX_FLOWS + 1, NaN])('%p flows', (flows) => {
    expect(() => checkTemplate(DEFAULT_TEMPLATE, 60, flows)).toThrow(usage)
  })
  test('more flows than there are ports left', () => {
    const template = { ...DEFAULT_TEMPLATE, sourcePort: 65530 }
    expect(() => checkTemplate(template, 60, 6)).not.toThrow()
    expect(() => checkTemplate(template, 60, 7)).toThrow(usage)
  })
  test.each([0, 4095])('VLAN id %p', (vlanId) => {
    expect(() => checkTemplate({ ...DEFAULT_TEMPLATE, vlans: [vlanId] }, 60, 1)).toThrow(usage)
  })
  test('but a tagged frame may have 9018 bytes', () => {
    const template = { ...DEFAULT_TEMPLATE, vlans: [1] }
    expect(maxFrameBytes(template)).toBe(9018)
    expect(() => checkTemplate(template, 9018, 1)).not.toThrow()
  })
  test('a frame too short for headers and sequence number', () => {
    expect(() => buildFrame(DEFAULT_TEMPLATE, 48)).toThrow(RangeError)
    expect(buildFrame(DEFAULT_TEMPLATE, 49).length).toBe(49)
  })
})
