import fc from 'fast-check'
import { internetChecksum, updateChecksum, updateChecksum32 } from '../../src/packet/checksum.ts'
import { Ipv4Packet } from '../../src/packet/ipv4.ts'
import { TcpSegment } from '../../src/packet/tcp.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'

test('the example of RFC 1071 §3', () => {
  const data = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  expect(internetChecksum(data, 0, data.length)).toBe(~0xddf2 & 0xffff)
})

test('the header of a real packet', () => {
  const header = Buffer.from('4500003c1c4640004006b1e6ac100a63ac100a0c', 'hex')
  expect(internetChecksum(header, 0, 20)).toBe(0)
  header.writeUInt16BE(0, 10)
  expect(internetChecksum(header, 0, 20)).toBe(0xb1e6)
})

test('an odd last byte counts as the high byte of a word', () => {
  expect(internetChecksum(Uint8Array.of(0xab), 0, 1)).toBe(~0xab00 & 0xffff)
})

test('carries of 64 KiB of ones are folded in', () => {
  expect(internetChecksum(new Uint8Array(65536).fill(0xff), 0, 65536)).toBe(0)
})

test('data with its checksum appended sums up to zero, and doesn’t once a bit is flipped', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 200 }), fc.nat(), (data, position) => {
      const length = data.length & ~1
      const all = new Uint8Array(length + 2)
      all.set(data.subarray(0, length))
      const sum = internetChecksum(all, 0, length)
      all[length] = sum >>> 8
      all[length + 1] = sum
      expect(internetChecksum(all, 0, all.length)).toBe(0)
      all[(position >>> 3) % all.length] ^= 1 << (position & 7)
      expect(internetChecksum(all, 0, all.length)).not.toBe(0)
    }),
  )
})

/** The same by another way: one's complement arithmetic is arithmetic modulo 65535. */
function bySchoolArithmetic(data: Uint8Array): number {
  const even = data.length % 2 === 0 ? data : Uint8Array.from([...data, 0])
  const number = BigInt(`0x0${Buffer.from(even).toString('hex')}`)
  const rest = Number(number % 65535n)
  return ~(rest === 0 && number > 0n ? 65535 : rest) & 0xffff
}

test('agrees with arithmetic modulo 65535', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(7), (data, offset) => {
      const memory = new Uint8Array(320).fill(0xee)
      memory.set(data, offset)
      expect(internetChecksum(memory, offset, data.length)).toBe(bySchoolArithmetic(data))
    }),
  )
})

describe('mended after a change', () => {
  test('the example of RFC 1624 §4', () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000)
  })

  /** Data that isn't zero throughout, before and after: no header is. */
  const data = fc
    .uint8Array({ minLength: 4, maxLength: 60 })
    .map((bytes) => Uint8Array.from([1, 0, ...bytes.subarray(0, bytes.length & ~3)]))

  test('is what computing it anew gives: one word', () => {
    fc.assert(
      fc.property(data, fc.nat(), fc.nat(0xffff), (bytes, place, after) => {
        const at = 2 + ((place * 2) % (bytes.length - 2))
        const view = new DataView(bytes.buffer)
        const checksum = internetChecksum(bytes, 0, bytes.length)
        const before = view.getUint16(at)
        view.setUint16(at, after)
        expect(updateChecksum(checksum, before, after)).toBe(internetChecksum(bytes, 0, bytes.length))
      }),
    )
  })

  test('two words', () => {
    fc.assert(
      fc.property(data, fc.nat(), fc.nat(0xffff_ffff), (bytes, place, after) => {
        const at = 2 + ((place * 4) % (bytes.length - 2))
        const view = new DataView(bytes.buffer)
        const checksum = internetChecksum(bytes, 0, bytes.length)
        const before = view.getUint32(at)
        view.setUint32(at, after)
        expect(updateChecksum32(checksum, before, after)).toBe(internetChecksum(bytes, 0, bytes.length))
      }),
    )
  })
})

describe('of packets', () => {
  const fields = fc.record({
    payload: fc.uint8Array({ maxLength: 60 }),
    source: fc.integer(),
    destination: fc.integer(),
    other: fc.integer(),
    port: fc.nat(0xffff),
  })

  test('decrementing the time to live mends the header’s', () => {
    fc.assert(
      fc.property(fields, fc.integer({ min: 1, max: 255 }), ({ source, destination }, hops) => {
        const ip = new Ipv4Packet()
        ip.create(new Uint8Array(20), 0, 20)
        Object.assign(ip, { source, destination, timeToLive: hops, protocol: 17 })
        ip.fillChecksum()
        ip.decrementTimeToLive()
        expect([ip.timeToLive, ip.protocol, ip.checksumOk]).toEqual([hops - 1, 17, true])
        const mended = ip.checksum
        ip.fillChecksum()
        expect(mended).toBe(ip.checksum)
      }),
    )
  })

  test.each([
    ['UDP', () => new UdpDatagram()],
    ['TCP', () => new TcpSegment()],
  ])('a NAT can mend those of %s over IPv4', (_, make) => {
    fc.assert(
      fc.property(fields, ({ payload, source, destination, other, port }) => {
        const memory = new Uint8Array(40 + payload.length)
        const [ip, transport] = [new Ipv4Packet(), make()]
        ip.create(memory, 0, memory.length)
        Object.assign(ip, { source, destination })
        ip.fillChecksum()
        memory.set(payload, 40)
        expect(transport.create(memory, ip.payloadOffset, ip.payloadLength)).toBe(true)
        transport.fillChecksum(ip)
        expect(transport.checksumOk(ip)).toBe(true)

        ip.source = other
        ip.updateChecksum32(source, other)
        transport.updateChecksum32(source, other)
        transport.updateChecksum(transport.sourcePort, port)
        transport.sourcePort = port
        expect([ip.checksumOk, transport.checksumOk(ip)]).toEqual([true, true])
        transport.updateChecksum(1, 2)
        expect(transport.checksumOk(ip)).toBe(false)
      }),
    )
  })

  test('a UDP checksum that comes out as 0 is sent as 0xffff, and none stays none', () => {
    const memory = new Uint8Array(30)
    const [ip, udp] = [new Ipv4Packet(), new UdpDatagram()]
    ip.create(memory, 0, 30)
    udp.create(memory, 20, 10)
    udp.updateChecksum(0, 5)
    expect([udp.checksum, udp.checksumOk(ip)]).toEqual([0, true])
    udp.fillChecksum(ip)
    const { checksum } = udp
    // A word that brings the sum to its largest: its checksum is 0.
    memory.set([checksum >>> 8, checksum & 0xff], 28)
    udp.updateChecksum(0, checksum)
    expect(udp.checksum).toBe(0xffff)
    udp.fillChecksum(ip)
    expect([udp.checksum, udp.checksumOk(ip)]).toEqual([0xffff, true])
  })
})
