import { EthernetFrame, TYPE_ARP, TYPE_IPV4, writeEthernet } from '../../src/packet/ethernet.ts'
import { Ipv4Packet, PROTOCOL_UDP } from '../../src/packet/ipv4.ts'
import { parseMac } from '../../src/packet/mac.ts'
import {
  buildFrame,
  checkTemplate,
  DEFAULT_TEMPLATE,
  IMIX_SIZES,
  MAX_FLOWS,
  maxFrameBytes,
  payloadOffset,
  planFrames,
} from '../../src/packet/template.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'

function dissect(frame: Uint8Array) {
  const ethernet = new EthernetFrame(frame)
  const ip = new Ipv4Packet(frame, ethernet.payloadOffset, ethernet.payloadLength)
  const udp = new UdpDatagram(frame, ip.payloadOffset, ip.payloadLength)
  return {
    ethernet,
    ip,
    udp,
    payload: frame.subarray(udp.payloadOffset, udp.payloadOffset + udp.payloadLength),
  }
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
    const { ethernet, ip, udp, payload } = dissect(buildFrame(DEFAULT_TEMPLATE, 60))
    expect(ethernet.etherType).toBe(TYPE_IPV4)
    expect(ethernet.vlanId).toBeNull()
    expect([ip.source, ip.destination, ip.protocol, ip.timeToLive]).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      PROTOCOL_UDP,
      64,
    ])
    expect(ip.checksumOk).toBe(true)
    expect([udp.sourcePort, udp.destinationPort, udp.checksum]).toEqual([42, 1337, 0])
    expect(Buffer.from(payload.subarray(0, 3)).toString()).toBe('ixy')
    expect(payload.length).toBe(60 - 42)
  })
})

test.each([60, 61, 566, 1514, 9014])('%i bytes: lengths fill the frame', (size) => {
  const { ip, udp } = dissect(buildFrame(DEFAULT_TEMPLATE, size))
  expect(ip.totalLength).toBe(size - 14)
  expect(udp.length).toBe(size - 34)
  expect(ip.checksumOk).toBe(true)
})

test('a VLAN tag takes its space from the payload', () => {
  const frame = buildFrame({ ...DEFAULT_TEMPLATE, vlanId: 42 }, 60, 3)
  const { ethernet, ip, udp } = dissect(frame)
  expect([frame[12], frame[13]]).toEqual([0x81, 0x00])
  expect(ethernet.vlanId).toBe(42)
  expect(ethernet.etherType).toBe(TYPE_IPV4)
  expect(ip.totalLength).toBe(60 - 18)
  expect(udp.sourcePort).toBe(45)
})

test('everything that can be set is', () => {
  const { ethernet, ip, udp } = dissect(
    buildFrame(
      {
        sourceMac: parseMac('52:54:00:00:00:01'),
        destinationMac: parseMac('52:54:00:00:00:02'),
        sourceIp: 0xc0a80001,
        destinationIp: 0xc0a80002,
        sourcePort: 1000,
        destinationPort: 65535,
        vlanId: null,
      },
      100,
      7,
    ),
  )
  expect([ethernet.source, ethernet.destination]).toEqual(['52:54:00:00:00:01', '52:54:00:00:00:02'])
  expect([ip.source, ip.destination, ip.checksumOk]).toEqual(['192.168.0.1', '192.168.0.2', true])
  expect([udp.sourcePort, udp.destinationPort]).toEqual([1007, 65535])
})

describe('a plan', () => {
  test('has one frame per size, in the ratio 7:4:1', () => {
    const { templates, turns } = planFrames(DEFAULT_TEMPLATE, IMIX_SIZES, 5)
    expect(templates.map((frame) => frame.length)).toEqual([60, 566, 1514])
    expect([0, 1, 2].map((size) => turns.filter((turn) => turn === size).length)).toEqual([7, 4, 1])
    for (const frame of templates) expect(dissect(frame).udp.sourcePort).toBe(42)
  })

  test.each([null, 42])('knows where source port and payload are (VLAN %p)', (vlanId) => {
    const template = { ...DEFAULT_TEMPLATE, vlanId, sourcePort: 1000 }
    const { templates, firstPort, portOffset, flows } = planFrames(template, [64], 3)
    expect({ firstPort, flows }).toEqual({ firstPort: 1000, flows: 3 })
    const view = new DataView(templates[0].buffer)
    expect(view.getUint16(portOffset)).toBe(1000)
    view.setUint16(portOffset, 1002)
    expect(dissect(templates[0]).udp.sourcePort).toBe(1002)
    expect(Buffer.from(templates[0]).toString('latin1', payloadOffset(template)).slice(0, 3)).toBe('ixy')
  })
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
    expect(() => checkTemplate({ ...DEFAULT_TEMPLATE, vlanId }, 60, 1)).toThrow(usage)
  })
  test('but a tagged frame may have 9018 bytes', () => {
    const template = { ...DEFAULT_TEMPLATE, vlanId: 1 }
    expect(maxFrameBytes(template)).toBe(9018)
    expect(() => checkTemplate(template, 9018, 1)).not.toThrow()
  })
  test('a frame too short for headers and sequence number', () => {
    expect(() => buildFrame(DEFAULT_TEMPLATE, 48)).toThrow(RangeError)
    expect(buildFrame(DEFAULT_TEMPLATE, 49).length).toBe(49)
  })
})

describe('views refuse what they are not', () => {
  const frame = buildFrame(DEFAULT_TEMPLATE, 60)
  test('too short', () => {
    expect(() => new EthernetFrame(frame, 0, 13)).toThrow(RangeError)
    expect(() => new EthernetFrame(frame, 50)).toThrow(RangeError)
    expect(() => new EthernetFrame(frame, 0, 61)).toThrow(RangeError)
    expect(() => new EthernetFrame(buildFrame({ ...DEFAULT_TEMPLATE, vlanId: 1 }, 60), 0, 17)).toThrow(
      RangeError,
    )
    expect(() => new Ipv4Packet(frame, 14, 19)).toThrow(RangeError)
    expect(() => new Ipv4Packet(frame, 14, 45)).toThrow(RangeError)
    expect(() => new UdpDatagram(frame, 34, 7)).toThrow(RangeError)
    expect(() => new UdpDatagram(frame, 34, 25)).toThrow(RangeError)
  })
  test('another IP version, header lengths that can’t be', () => {
    const bad = (offset: number, value: number) => {
      const copy = frame.slice()
      copy[offset] = value
      return () => new Ipv4Packet(copy, 14)
    }
    expect(bad(14, 0x65)).toThrow('not IPv4')
    expect(bad(14, 0x44)).toThrow(RangeError)
    expect(bad(17, 19)).toThrow(RangeError)
    expect(bad(14, 0x45)).not.toThrow()
  })
  test('a wrong IPv4 checksum is seen', () => {
    const copy = frame.slice()
    copy[30] ^= 1
    expect(new Ipv4Packet(copy, 14).checksumOk).toBe(false)
  })
})

test('headers can’t be written beyond the memory', () => {
  const header = {
    source: parseMac('02:00:00:00:00:01'),
    destination: parseMac('02:00:00:00:00:02'),
    etherType: TYPE_ARP,
    vlanId: null,
  }
  expect(writeEthernet(new Uint8Array(14), 0, header)).toBe(14)
  expect(() => writeEthernet(new Uint8Array(14), 1, header)).toThrow(RangeError)
})
