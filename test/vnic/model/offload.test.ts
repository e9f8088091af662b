/** What the card does to packets on their way out: checksums, VLAN tags, segmentation. */
import fc from 'fast-check'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import { type Host, runningHost } from './host.ts'
import { DATA, IXSM, type Layout, putContext, putData, RS, send, TSE, TXSM, VLE } from './offloads.ts'
import { counting, internetChecksum, sctp4, sctp6, tcp4, tcp6, udp4 } from './packets.ts'

/** The packet as a driver hands it over: IP checksum zero, TCP or UDP checksum the pseudo header's sum. */
function prepare(frame: Uint8Array, { ip, l4Type, v4 }: Layout, length: number): Uint8Array {
  const packet = frame.slice()
  const field = 14 + ip + (l4Type === 1 ? 16 : 6)
  const addresses = v4 ? packet.slice(26, 34) : packet.slice(22, 54)
  const pseudo = [...addresses, 0, l4Type === 1 ? 6 : 17, (length >> 8) & 0xff, length & 0xff]
  const sum = ~internetChecksum(pseudo) & 0xffff
  packet[field] = sum >> 8
  packet[field + 1] = sum & 0xff
  if (v4) packet.fill(0, 24, 26)
  return packet
}

const TCP4: Layout = { ip: 20, l4: 20, l4Type: 1, v4: true }
const UDP4: Layout = { ip: 20, l4: 8, l4Type: 0, v4: true }
const TCP6: Layout = { ip: 40, l4: 20, l4Type: 1, v4: false }

describe('checksums are filled in', () => {
  test.each<[string, Uint8Array, Layout]>([
    ['TCP over IPv4', tcp4('10.0.0.1', 1, '10.0.0.2', 2, counting(99)), TCP4],
    ['UDP over IPv4', udp4('10.0.0.1', 1, '10.0.0.2', 2, counting(100)), UDP4],
    ['TCP over IPv6', tcp6('fe80::1', 1, 'fe80::2', 2, counting(101)), TCP6],
  ])('%s', (_, frame, layout) => {
    const host = runningHost()
    const packet = prepare(frame, layout, frame.length - 14 - layout.ip)
    putContext(host, 0, layout)
    const tail = putData(host, 1, packet, { options: TXSM | (layout.v4 ? IXSM : 0), parts: 3 })
    expect(send(host, tail)).toEqual([frame])
    expect(host.breaches()).toEqual([])
    expect(host.transmitStatus(tail - 1) & 1).toBe(1)
  })

  test('with the context that the descriptor names', () => {
    const host = runningHost()
    const [a, b] = [tcp4('1.2.3.4', 5, '6.7.8.9', 10, counting(60)), tcp6('::1', 5, '::2', 6, counting(60))]
    putContext(host, 0, TCP4)
    host.describe(1, [(14 << 9) | 40, 0, 0x20200800, (20 << 8) | 0x10])
    const first = prepare(a, TCP4, a.length - 34)
    const second = prepare(b, TCP6, b.length - 54)
    let tail = putData(host, 2, second, { options: TXSM | 0x10 })
    tail = putData(host, tail, first, { options: TXSM | IXSM })
    expect(send(host, tail)).toEqual([b, a])
  })

  test.each<[string, Uint8Array, boolean]>([
    ['IPv4', sctp4(), true],
    ['IPv6', sctp6(), false],
  ])('SCTP over %s gets its CRC32c', (_, frame, v4) => {
    const host = runningHost()
    const ip = v4 ? 20 : 40
    const packet = frame.slice()
    packet.fill(0, 14 + ip + 8, 14 + ip + 12)
    if (v4) packet.fill(0, 24, 26)
    putContext(host, 0, { ip, l4: 12, l4Type: 2, v4 })
    const tail = putData(host, 1, packet, { options: TXSM | (v4 ? IXSM : 0), parts: 2 })
    expect(send(host, tail)).toEqual([frame])
    expect(host.breaches()).toEqual([])
  })

  test('over what the driver has left in their fields', () => {
    const host = runningHost()
    const frame = tcp4('10.0.0.1', 1, '10.0.0.2', 2, counting(99))
    const packet = prepare(frame, TCP4, frame.length - 34)
    // The sums are one off in each field, and so are the checksums.
    packet[25] = 1
    packet[51] ^= 1
    const step = (packet[51] & 1) === 1 ? 1 : -1
    putContext(host, 0, TCP4)
    const [sent] = send(host, putData(host, 1, packet, { options: TXSM | IXSM }))
    const get = (bytes: Uint8Array, at: number): number => bytes[at] * 256 + bytes[at + 1]
    const off = (at: number): number => get(frame, at) - get(sent, at)
    expect([off(24), off(50)]).toEqual([1, step])
  })
})

describe('VLAN tags are inserted', () => {
  test('behind the addresses, also together with checksums', () => {
    const host = runningHost()
    const frame = tcp4('10.0.0.1', 1, '10.0.0.2', 2, counting(50))
    const layout = { ...TCP4, vlan: 0x602a }
    putContext(host, 0, layout)
    const packet = prepare(frame, layout, frame.length - 34)
    const tail = putData(host, 1, packet, { command: VLE, options: TXSM | IXSM })
    const tag = [0x81, 0x00, 0x60, 0x2a]
    expect(send(host, tail)).toEqual([Uint8Array.from([...frame.slice(0, 12), ...tag, ...frame.slice(12)])])
  })
})

describe('segmentation', () => {
  /** Reassembles what came out and checks each frame by itself. */
  function reassemble(frames: readonly Uint8Array[], layout: Layout): number[] {
    const data: number[] = []
    frames.forEach((frame, index) => {
      const l4 = 14 + layout.ip
      const headers = l4 + layout.l4
      const end = layout.v4 ? 14 + (frame[16] << 8) + frame[17] : 54 + (frame[18] << 8) + frame[19]
      const sequence = new DataView(frame.buffer, frame.byteOffset).getUint32(l4 + 4)
      expect(sequence).toBe((1 + data.length) % 2 ** 32)
      const last = index === frames.length - 1
      // PSH only at the end.
      expect(frame[l4 + 13] & 0x08).toBe(last ? 0x08 : 0)
      if (layout.v4) {
        expect(internetChecksum([...frame.slice(14, l4)])).toBe(0)
        expect((frame[18] << 8) | frame[19]).toBe(1 + index)
      }
      const addresses = layout.v4 ? frame.slice(26, 34) : frame.slice(22, 54)
      const length = end - l4
      const pseudo = [...addresses, 0, 6, length >> 8, length & 0xff]
      expect(internetChecksum([...pseudo, ...frame.slice(l4, end)])).toBe(0)
      data.push(...frame.slice(headers, end))
    })
    return data
  }

  test.each<[string, Layout, (payload: number[]) => Uint8Array]>([
    ['IPv4', TCP4, (payload) => tcp4('10.0.0.1', 1, '10.0.0.2', 2, payload)],
    ['IPv6', TCP6, (payload) => tcp6('fe80::1', 1, 'fe80::2', 2, payload)],
  ])('over %s cuts TCP into frames that add up, whatever the sizes', (_, layout, build) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 100, max: 1460 }),
        fc.integer({ min: 1, max: 7 }),
        (length, mss, parts) => {
          const host = runningHost()
          const payload = counting(length)
          const frame = build(payload).slice(0, 14 + layout.ip + layout.l4 + length)
          const packet = prepare(frame, layout, 0)
          putContext(host, 0, { ...layout, mss })
          const pieces = Math.max(parts, Math.ceil(packet.length / 4096))
          const options = {
            command: TSE,
            options: TXSM | (layout.v4 ? IXSM : 0),
            paylen: length,
            parts: pieces,
          }
          const frames = send(host, putData(host, 1, packet, options))
          expect(frames.length).toBe(Math.ceil(length / mss))
          expect(reassemble(frames, layout)).toEqual(payload)
          expect(host.breaches()).toEqual([])
          expect(host.read(REG.GPTC)).toBe(frames.length)
        },
      ),
      { numRuns: 40 },
    )
  })

  test('stops in the middle when the wire is full, and goes on with the next frame', () => {
    const host = runningHost()
    host.wire.capacity = 3
    const payload = counting(5000)
    const frame = tcp4('10.0.0.1', 1, '10.0.0.2', 2, payload)
    putContext(host, 0, { ...TCP4, mss: 1000 })
    const options = { command: TSE, options: TXSM | IXSM, paylen: 5000, parts: 2 }
    const tail = putData(host, 1, prepare(frame, TCP4, 0), options)
    send(host, tail)
    host.poll(3)
    expect(host.wire.sent.length).toBe(3)
    expect(host.transmitStatus(tail - 1) & 1).toBe(0)
    host.wire.capacity = Infinity
    host.poll()
    expect(host.wire.sent.length).toBe(5)
    expect(reassemble(host.wire.sent, TCP4)).toEqual(payload)
    expect(host.transmitStatus(tail - 1) & 1).toBe(1)
  })

  test('without MSS, with headers longer than the packet or frames too large: dropped and reported', () => {
    for (const [mss, ip] of [
      [0, 20],
      [1000, 511],
      [20_000, 20],
    ]) {
      const host = runningHost()
      const frame = tcp4('10.0.0.1', 1, '10.0.0.2', 2, counting(400))
      putContext(host, 0, { ...TCP4, ip, mss })
      const tail = putData(host, 1, frame, { command: TSE, options: TXSM | IXSM, paylen: 400 })
      expect(send(host, tail)).toEqual([])
      expect(host.breaches().join()).toMatch(/can not send/)
      expect(host.read(REG.TDH)).toBe(tail)
    }
  })
})

describe('MAC loopback', () => {
  test('brings back what is sent, and keeps it from the wire', () => {
    const host = runningHost()
    host.modify(REG.HLREG0, REG.HLREG0.fields.LPBK.mask)
    const frame = new Uint8Array(1024).fill(0xff)
    for (let i = 0; i < 10; i++) host.queueFrame(i, frame)
    expect(send(host, 10)).toEqual([])
    expect(host.received(0).data).toEqual(frame)
    expect(host.read(REG.GPRC)).toBe(10)
    expect(host.device.deliver({ u8: frame, u32: new Uint32Array(frame.buffer) }, 0, 60)).toBe(false)
    expect(totalsOf(host.device).dropped['not_listening']).toBe(1)
  })
})

describe('no packet holds up others for long', () => {
  /** Frames that one poll may send: a NIC that shares the thread has its turn after it. */
  const FEW = 300

  /** Polls until all is sent; returns the most that was sent by one poll. */
  function mostAtOnce(host: Host, tail: number): number {
    host.write(REG.TDT, tail)
    let most = 0
    for (let before = 0; host.poll() > 0; before = host.wire.sent.length)
      most = Math.max(most, host.wire.sent.length - before)
    return most
  }

  test('segments of one byte are sent over many polls, all of them, in order', () => {
    const host = runningHost()
    const layout = { ...TCP4, mss: 1 }
    const payload = counting(3000)
    const packet = prepare(tcp4('10.0.0.1', 1, '10.0.0.2', 2, payload), layout, 0)
    putContext(host, 0, layout)
    putData(host, 1, packet, { command: TSE, options: IXSM | TXSM, paylen: payload.length })
    expect(mostAtOnce(host, 2)).toBeLessThanOrEqual(FEW)
    expect(host.wire.sent.length).toBe(payload.length)
    expect(host.wire.sent.map((frame) => frame[54])).toEqual([...payload])
    expect(host.read(REG.TDH)).toBe(2)
    expect(host.transmitStatus(1) & 1).toBe(1)
    expect(host.breaches()).toEqual([])
  })

  test('a packet whose end is still to come is not read again and again', () => {
    const host = runningHost()
    const reads = jest.spyOn(host.device.dma, 'access')
    const frame = Uint8Array.from(counting(1000))
    // The first half of a packet: no EOP.
    const address = host.place(0, frame)
    host.describe(0, [
      address % 2 ** 32,
      Math.floor(address / 2 ** 32),
      (DATA & ~(1 << 24)) | 500,
      1000 << 14,
    ])
    host.write(REG.TDT, 1)
    expect(host.poll()).toBeGreaterThan(0)
    reads.mockClear()
    expect(host.poll(10)).toBe(0)
    expect(reads).not.toHaveBeenCalled()
    host.describe(1, [
      (address + 500) % 2 ** 32,
      Math.floor((address + 500) / 2 ** 32),
      DATA | RS | 500,
      1000 << 14,
    ])
    expect(send(host, 2).map((sent) => [...sent])).toEqual([[...frame]])
    expect(host.transmitStatus(1) & 1).toBe(1)
  })

  test('many queues share what one poll may do, and none goes without', () => {
    const host = runningHost()
    const queues = 32
    const entries = 256
    // They all send from one ring of plain frames, each with heads and tails of its own.
    const frame = Uint8Array.from(counting(64))
    for (let i = 0; i < entries; i++) host.queueFrame(i, frame, false)
    host.write(REG.TXDCTL, 0)
    for (let queue = 0; queue < queues; queue++) {
      host.startTransmit(entries, queue)
      host.write(REG.TDT, entries - 1, queue)
    }
    let most = 0
    let polls = 0
    for (let before = 0; host.poll() > 0; before = host.wire.sent.length, polls++)
      most = Math.max(most, host.wire.sent.length - before)
    expect(most).toBeLessThanOrEqual(2048 + 256)
    expect(polls).toBeGreaterThan(2)
    expect(host.wire.sent.length).toBe(queues * (entries - 1))
    for (let queue = 0; queue < queues; queue++) expect(host.read(REG.TDH, queue)).toBe(entries - 1)
  })
})
