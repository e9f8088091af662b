import fc from 'fast-check'
import { ArpPacket } from '../../src/packet/arp.ts'
import { EthernetFrame } from '../../src/packet/ethernet.ts'
import { IcmpMessage } from '../../src/packet/icmp.ts'
import { Ipv4Packet } from '../../src/packet/ipv4.ts'
import { Ipv6Packet } from '../../src/packet/ipv6.ts'
import { TcpSegment } from '../../src/packet/tcp.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'
import { type AnyView, callAddress, I32, type Kind, KINDS, read, settable } from './views.ts'

/** Values for all fields of a kind that can be set. */
function values({ booleans = [], most, units = {} }: Kind): fc.Arbitrary<Record<string, number | boolean>> {
  const numbers = Object.entries(most).map(([name, max]): [string, fc.Arbitrary<number | boolean>] => {
    const unit = units[name] ?? 1
    if (max === I32) return [name, fc.integer()]
    return [name, fc.oneof(fc.constant(0), fc.maxSafeNat()).map((n) => (n % (max / unit + 1)) * unit)]
  })
  return fc.record(Object.fromEntries([...numbers, ...booleans.map((name) => [name, fc.boolean()])]))
}

/** Bytes that are a packet of that kind more often than chance would have it. */
function bytes({ make, headerBytes }: Kind): fc.Arbitrary<Uint8Array> {
  const any = fc.uint8Array({ maxLength: 120 })
  const likely = fc
    .tuple(
      fc.uint8Array({ minLength: headerBytes, maxLength: 120 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
    )
    .map(([packet, changes]) => {
      make().create?.(packet, 0, packet.length)
      for (const [at, value] of changes) packet[at % Math.min(24, packet.length)] = value
      return packet
    })
  return fc.oneof(any, likely)
}

/** The same bytes in a larger memory that is otherwise full of `filler`. */
function surrounded(packet: Uint8Array, offset: number, filler: number): Uint8Array {
  const memory = new Uint8Array(offset + packet.length + 80).fill(filler)
  memory.set(packet, offset)
  return memory
}

/** Sums of everything that has one, with a packet of IP that is elsewhere. */
function checksums(view: AnyView): unknown[] {
  const ip = new Ipv4Packet()
  ip.create(new Uint8Array(100), 0, 100)
  if (view instanceof Ipv4Packet) return [view.checksumOk, view.sumPseudoHeader(6, 100)]
  if (view instanceof Ipv6Packet) return [view.sumPseudoHeader(6, 100)]
  if (view instanceof UdpDatagram || view instanceof TcpSegment || view instanceof IcmpMessage)
    return [view.checksumOk(ip)]
  return []
}

/** Everything that writes. */
function writeAll(view: AnyView, value: number): void {
  for (const name of settable(view)) Reflect.set(view, name, value)
  const ip = new Ipv4Packet()
  if (view instanceof Ipv4Packet) {
    view.fillChecksum()
    view.decrementTimeToLive()
    view.updateChecksum32(1, 2)
  }
  if (view instanceof EthernetFrame || view instanceof Ipv6Packet) {
    view.setSource(new Uint8Array(20).fill(value), 2)
    view.setDestination(new Uint8Array(3).fill(value))
  }
  if (view instanceof EthernetFrame) view.swapAddresses()
  if (view instanceof ArpPacket) {
    view.setTargetMac(new Uint8Array(3).fill(value))
    view.ask(new Uint8Array(6).fill(value), value, value)
    view.answer(new Uint8Array(6).fill(value))
  }
  if (view instanceof UdpDatagram || view instanceof TcpSegment) {
    view.fillChecksum(ip)
    view.updateChecksum(1, 2)
  }
  if (view instanceof IcmpMessage) view.fillChecksum()
}

describe.each(KINDS)('$name', (kind) => {
  const { make, headerBytes, most, booleans = [], addresses = [], addressBytes = 0 } = kind

  test('all fields are known to this test', () => {
    expect(settable(make()).sort()).toEqual([...Object.keys(most), ...booleans].sort())
  })

  test('any bytes, changed at any time: nothing outside of them is read or written', () => {
    let accepted = 0
    const property = fc.property(
      bytes(kind),
      fc.nat(40),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 20 }),
      fc.nat(),
      (packet, offset, changes, value) => {
        const memories = [0x00, 0xff].map((filler) => surrounded(packet, offset, filler))
        const views = memories.map(() => make())
        const [first, second] = views.map((view, i) => view.wrap(memories[i], offset, packet.length))
        expect(first).toBe(second)
        if (first) accepted++
        const same = () => {
          const [a, b] = views.map((view) => [read(view), checksums(view), view.length])
          expect(a).toEqual(b)
        }
        same()
        for (const view of views) {
          if (first) expect(view.offset + view.length).toBeLessThanOrEqual(offset + packet.length)
          const { payloadOffset = view.offset, payloadLength = 0 } = read(view) as Record<string, number>
          expect(payloadLength).toBeGreaterThanOrEqual(0)
          if (first)
            expect(payloadOffset + payloadLength).toBe(
              payloadLength === 0 ? payloadOffset : view.offset + view.length,
            )
        }
        // As another view, or a card that is still writing, would.
        for (const [at, byte] of changes)
          for (const memory of memories) memory[offset + (at % Math.max(1, packet.length))] = byte
        if (packet.length > 0) same()
        for (const view of views) writeAll(view, value)
        if (packet.length > 0) same()
        memories.forEach((memory, i) => {
          const filler = [0x00, 0xff][i]
          if (packet.length === 0) return
          const outside = [...memory.subarray(0, offset), ...memory.subarray(offset + packet.length)]
          expect(outside.every((byte) => byte === filler)).toBe(true)
        })
      },
    )
    fc.assert(property, { numRuns: 500 })
    expect(accepted).toBeGreaterThan(50)
  })

  test('built, then read: what was written', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: headerBytes, maxLength: 100 }),
        fc.nat(9),
        values(kind),
        (packet, offset, fields) => {
          const memory = surrounded(packet, offset, 0xee)
          const built = make()
          if (built.create === undefined) expect(built.wrap(memory, offset, packet.length)).toBe(true)
          else expect(built.create(memory, offset, packet.length)).toBe(true)
          Object.assign(built, fields)
          const seen = make()
          expect(seen.wrap(memory, offset, packet.length)).toBe(true)
          expect(read(seen)).toMatchObject(fields)
          expect(read(seen)).toEqual(read(built))
          expect([seen.offset, seen.length]).toEqual([built.offset, built.length])
          expect(memory.subarray(0, offset).every((byte) => byte === 0xee)).toBe(true)
        },
      ),
    )
  })

  test('addresses: set, copied and compared as the bytes they are, and each apart', () => {
    if (addresses.length === 0) return
    const address = fc.uint8Array({ minLength: addressBytes, maxLength: addressBytes })
    fc.assert(
      fc.property(fc.tuple(address, address), fc.nat(9), (values, at) => {
        const memory = new Uint8Array(100)
        const view = make()
        if (view.create) view.create(memory, 3, 90)
        else view.wrap(memory, 3, 90)
        const given = values.map((value) => surrounded(value, at, 0xee))
        addresses.forEach((name, i) => callAddress(view, `set${name}`, given[i], at))
        addresses.forEach((name, i) => {
          const copy = new Uint8Array(100).fill(0xee)
          callAddress(view, `copy${name}`, copy, at)
          expect(copy.subarray(0, given[i].length)).toEqual(given[i].subarray(0, 100))
          const test = `${name[0].toLowerCase()}${name.slice(1)}Is`
          if (!(test in view)) return
          expect(callAddress(view, test, given[i], at)).toBe(true)
          given[i][at + (at % addressBytes)] ^= 1
          expect(callAddress(view, test, given[i], at)).toBe(false)
        })
      }),
    )
  })

  test('a fresh header is all zeros but for what create says', () => {
    const memory = new Uint8Array(100).fill(0xee)
    const view = make()
    if (view.create === undefined) return
    view.create(memory, 0, 100)
    const fields = Object.entries(read(view)).filter(([name]) => settable(view).includes(name))
    expect(fields.filter(([, value]) => value !== 0 && value !== false)).toEqual(
      ({ Ipv4Packet: [['timeToLive', 64]], Ipv6Packet: [['hopLimit', 64]] } as Record<string, unknown>)[
        kind.name
      ] ?? [],
    )
  })

  test('memory that isn’t there: aimed at nothing, reads 0, loses what is written', () => {
    const odd = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.constantFrom(NaN, Infinity, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 32 + 4),
    )
    fc.assert(
      fc.property(odd, odd, fc.boolean(), (offset, length, create) => {
        const memory = new Uint8Array(200)
        const untouched = memory.slice()
        const view = make()
        const possible = offset >= 0 && length >= headerBytes && offset + length <= 200
        fc.pre(!possible || !Number.isInteger(offset) || !Number.isInteger(length))
        const aimed =
          create && view.create ? view.create(memory, offset, length) : view.wrap(memory, offset, length)
        expect(aimed).toBe(false)
        writeAll(view, 255)
        for (const name of settable(view)) expect([0, false]).toContain(Reflect.get(view, name))
        expect(view.length).toBe(0)
        expect(memory).toEqual(untouched)
      }),
    )
  })

  test('a view that has seen a packet forgets it when it is aimed at something else', () => {
    const memory = new Uint8Array(100)
    const view = make()
    if (view.create) view.create(memory, 0, 100)
    else view.wrap(memory, 0, 100)
    expect(view.wrap(memory, 0, headerBytes - 1)).toBe(false)
    writeAll(view, 255)
    expect(read(view).payloadLength ?? 0).toBe(0)
    for (const name of settable(view)) expect([0, false]).toContain(Reflect.get(view, name))
  })
})

test('a packet by its id', () => {
  const memory = {
    u8: new Uint8Array(4096),
    size: Uint16Array.of(60, 13),
    dataOffset: (id: number) => id * 2048,
  }
  const frame = new EthernetFrame()
  expect(frame.wrapPacket(memory, 0)).toBe(true)
  frame.type = 0x1234
  expect([frame.length, memory.u8[12], memory.u8[13]]).toEqual([60, 0x12, 0x34])
  expect(frame.wrapPacket(memory, 1)).toBe(false)
})

describe('what is no such packet', () => {
  const packet = (...first: number[]) => Uint8Array.from([...first, ...new Uint8Array(60)])
  test.each([
    ['IPv4 of another version', new Ipv4Packet(), packet(0x65, 0, 0, 40), 64],
    ['IPv4 with a header of 16 bytes', new Ipv4Packet(), packet(0x44, 0, 0, 40), 64],
    ['IPv4 with more header than packet', new Ipv4Packet(), packet(0x46, 0, 0, 23), 64],
    ['IPv4 longer than what is there', new Ipv4Packet(), packet(0x45, 0, 0, 41), 40],
    ['IPv6 of another version', new Ipv6Packet(), packet(0x45, 0, 0, 0, 0, 4), 60],
    ['IPv6 longer than what is there', new Ipv6Packet(), packet(0x60, 0, 0, 0, 0, 4), 43],
    ['UDP shorter than its header', new UdpDatagram(), packet(0, 0, 0, 0, 0, 7), 60],
    ['UDP longer than what is there', new UdpDatagram(), packet(0, 0, 0, 0, 0, 21), 20],
    ['TCP with a header of 16 bytes', new TcpSegment(), packet(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x4f), 60],
    [
      'TCP with more header than segment',
      new TcpSegment(),
      packet(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x60),
      23,
    ],
  ])('%s', (_, view: AnyView, bytes, length) => {
    expect(view.wrap(bytes, 0, length)).toBe(false)
  })

  test('padding is not part of the packet', () => {
    const ip = new Ipv4Packet()
    expect(ip.wrap(packet(0x45, 0, 0, 21), 0, 46)).toBe(true)
    expect([ip.length, ip.payloadLength]).toEqual([21, 1])
  })

  test('options are', () => {
    const tcp = new TcpSegment()
    expect(tcp.create(new Uint8Array(60), 0, 60, 8)).toBe(true)
    expect([tcp.optionsOffset, tcp.optionsLength, tcp.payloadOffset, tcp.payloadLength]).toEqual([
      20, 8, 28, 32,
    ])
    for (const wrong of [-4, 3, 44]) expect(tcp.create(new Uint8Array(99), 0, 99, wrong)).toBe(false)
  })
})
