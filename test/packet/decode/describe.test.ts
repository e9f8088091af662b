import { describePacket, packetFields } from '../../../src/packet/decode/describe.ts'
import { Traffic, traffic } from '../traffic.ts'

const frame = (text: string): Uint8Array => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const line = (text: string, wireLength?: number): string => {
  const bytes = frame(text)
  return describePacket(bytes, 0, bytes.length, wireLength ?? bytes.length)
}

const MACS = '020000000002 020000000001'
const IP = '4500 0026 0001 4000 40 11 0000 0a000001 0a000002'
const UDP = '002a 0539 0012 0000'
const PAYLOAD = '00112233445566778899'

test.each([
  ['a datagram', `${MACS} 0800 ${IP} ${UDP} ${PAYLOAD}`, 'IP 10.0.0.1.42 > 10.0.0.2.1337: UDP, length 10'],
  [
    'tags',
    `${MACS} 88a8 f064 8100 0007 0800 ${IP} ${UDP} ${PAYLOAD}`,
    'vlan 100, p 7, DEI, vlan 7, p 0, IP 10.0.0.1.42 > 10.0.0.2.1337: UDP, length 10',
  ],
  [
    'a tag that is cut',
    `${MACS} 8100 00`,
    '02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x8100, length 15 [|vlan]',
  ],
  ['LLDP', `${MACS} 88cc ${PAYLOAD}`, '02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x88cc, length 24'],
  ['a length', `${MACS} 0026 4242 03`, '02:00:00:00:00:01 > 02:00:00:00:00:02, 802.3, length 17'],
  ['no frame', '0200', '[|ether]'],
  ['nothing', '', '[|ether]'],
  [
    'IP in IP',
    `${MACS} 0800 4500 003a 0000 0000 40 04 0000 c0a80001 c0a80002 ${IP} ${UDP} ${PAYLOAD}`,
    'IP 192.168.0.1 > 192.168.0.2: IP 10.0.0.1.42 > 10.0.0.2.1337: UDP, length 10',
  ],
  ['a header that is too short', `${MACS} 0800 4400 ${IP.slice(5)}`, 'IP bad-hlen 16'],
  ['a length that is too short', `${MACS} 0800 4500 0013 ${IP.slice(10)}`, 'IP bad-len 19'],
  ['no IP', `${MACS} 0800 a500 ${IP.slice(5)}`, 'IP10 (invalid)'],
  ['no IPv6', `${MACS} 86dd 45${'00'.repeat(40)}`, 'IP6 version error: 4 != 6'],
  [
    'a datagram that is cut',
    `${MACS} 0800 ${IP} 002a`,
    'IP truncated-ip - 16 bytes missing! 10.0.0.1 > 10.0.0.2: [|udp]',
  ],
  [
    'ARP for other addresses',
    `${MACS} 0806 0001 86dd 06 10 0001`,
    'ARP, hardware 1 (len 6), protocol 0x86dd (len 16), length 8',
  ],
])('%s', (_, bytes, expected) => {
  expect(line(bytes)).toBe(expected)
})

test('bytes that were on the wire, but not captured, are not missing', () => {
  expect(line(`${MACS} 0800 ${IP} ${UDP}`, 60)).toBe('IP 10.0.0.1.42 > 10.0.0.2.1337: UDP, length 10')
  expect(line(`${MACS} 0800 ${IP}`, 60)).toBe('IP 10.0.0.1 > 10.0.0.2: [|udp]')
})

test('fields are plain data', () => {
  const bytes = frame(`${MACS} 8100 a007 0800 ${IP} ${UDP} ${PAYLOAD}`)
  const fields = packetFields(bytes, 0, bytes.length, 64)
  expect(JSON.parse(JSON.stringify(fields))).toEqual({
    length: 64,
    captured: 56,
    ethernet: { source: '02:00:00:00:00:01', destination: '02:00:00:00:00:02', type: 0x0800 },
    vlan: [{ id: 7, priority: 5, dropEligible: false }],
    ip: {
      version: 4,
      source: '10.0.0.1',
      destination: '10.0.0.2',
      protocol: 17,
      timeToLive: 64,
      trafficClass: 0,
      length: 38,
      headerLength: 20,
      identification: 1,
      dontFragment: true,
    },
    udp: { sourcePort: 42, destinationPort: 1337, length: 10 },
  })
})

/** Bytes around the packet would show. */
const OFFSET = 5
const NOTHING = 0xa5

test('whatever is in a packet, it is one line, and of this packet only', () => {
  const memory = new Uint8Array(10_000)
  for (const { data, wireLength } of traffic(11, 4000)) {
    const lines = [NOTHING, 0].map((around) => {
      memory.fill(around)
      memory.set(data, OFFSET)
      return describePacket(memory, OFFSET, data.length, wireLength)
    })
    if (lines[0] === '' || lines[0] !== lines[1] || /[\n\r]|undefined|NaN/.test(lines[0]))
      expect({ data, lines }).toBeUndefined()
  }
})

test('a packet that is cut anywhere is one line', () => {
  const source = new Traffic(12)
  for (let i = 0; i < 150; i++) {
    const bytes = Uint8Array.from(source.frame())
    for (let length = 0; length < Math.min(bytes.length, 120); length++) {
      const cut = describePacket(bytes.subarray(0, length), 0, length, bytes.length)
      if (cut === '' || /undefined|NaN/.test(cut)) expect({ bytes, length, cut }).toBeUndefined()
    }
  }
})
