/**
 * Segmentation of TCP inside tunnels, as Linux asks for it: IPLEN reaches from the outer IP header to the inner TCP
 * header, lengths between them are those of one segment, and the outer IP checksum field holds what cancels them.
 */
import { runningHost } from './host.ts'
import { IXSM, putContext, putData, send, TSE, TXSM } from './offloads.ts'
import { counting, ETHERNET, internetChecksum, ipv4, ipv6, word } from './packets.ts'

const MSS = 1000
const SEGMENTS = 5
const TCP_HEADER = [...word(7), ...word(9), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0]

function sum(bytes: readonly number[]): number {
  return ~internetChecksum(bytes) & 0xffff
}

/** An IP header in front of `length` bytes, in network `net`; IPv4 with its checksum. */
function ip(v4: boolean, net: number, protocol: number, length: number): number[] {
  const addresses = v4
    ? [...ipv4(`172.16.${net}.1`), ...ipv4(`172.16.${net}.2`)]
    : [...ipv6(`fd00:${net}::1`), ...ipv6(`fd00:${net}::2`)]
  if (!v4) return [0x60, 0, 0, 0, ...word(length), protocol, 64, ...addresses]
  const header = [0x45, 0, ...word(20 + length), 0, 1, 0x40, 0, 64, protocol, 0, 0, ...addresses]
  header.splice(10, 2, ...word(internetChecksum(header)))
  return header
}

function pseudo(header: readonly number[], protocol: number, length: number): number[] {
  const addresses = header[0] >> 4 === 4 ? header.slice(12, 20) : header.slice(8, 40)
  return [...addresses, 0, protocol, ...word(length)]
}

interface Tunnel {
  readonly outer4: boolean
  readonly inner4: boolean
  readonly protocol: number
  /** Between outer and inner IP header, in front of `length` bytes. */
  readonly between: (length: number) => number[]
  /** Offset of the outer UDP header's checksum is filled in. */
  readonly udpChecksum?: boolean
}

const vxlan = (length: number): number[] => {
  const inside = [8, 0, 0, 0, 0, 0, 42, 0, ...ETHERNET, 0x08, 0x00]
  return [...word(1234), ...word(4789), ...word(8 + inside.length + length), 0, 0, ...inside]
}

const TUNNELS: [string, Tunnel][] = [
  ['vxlan', { outer4: true, inner4: true, protocol: 17, between: vxlan }],
  ['vxlan with a checksum', { outer4: true, inner4: true, protocol: 17, between: vxlan, udpChecksum: true }],
  ['vxlan over IPv6', { outer4: false, inner4: true, protocol: 17, between: vxlan, udpChecksum: true }],
  ['gre', { outer4: true, inner4: true, protocol: 47, between: () => [0, 0, 0x08, 0x00] }],
  ['sit', { outer4: true, inner4: false, protocol: 41, between: () => [] }],
  ['ipip', { outer4: true, inner4: true, protocol: 4, between: () => [] }],
  ['ip6tnl', { outer4: false, inner4: true, protocol: 4, between: () => [] }],
]

/** What a stack that knows nothing of offloads would send for one segment, and where its headers are. */
function headersOf(tunnel: Tunnel, payload: number): { outer: number[]; between: number[]; inner: number[] } {
  const inner = ip(tunnel.inner4, 2, 6, 20 + payload)
  const between = tunnel.between(inner.length + 20 + payload)
  const outer = ip(tunnel.outer4, 1, tunnel.protocol, between.length + inner.length + 20 + payload)
  if (tunnel.udpChecksum === true) {
    // The inner TCP segment with its checksum sums to the complement of its pseudo header (local checksum offload).
    const udp = pseudo(outer, 17, between.length + inner.length + 20 + payload)
    const segment = internetChecksum(pseudo(inner, 6, 20 + payload))
    between.splice(6, 2, ...word(internetChecksum([...udp, ...between, ...inner, ...word(segment)])))
  }
  return { outer, between, inner }
}

describe.each(TUNNELS)('%s', (_, tunnel) => {
  const { outer, between, inner } = headersOf(tunnel, MSS)
  const rest = [...between, ...inner]
  const payload = counting(SEGMENTS * MSS)

  function asked(): number[] {
    const seeded = outer.slice()
    if (tunnel.outer4) {
      seeded.splice(2, 2, 0, 0)
      seeded.splice(10, 2, ...word(internetChecksum(rest)))
    } else seeded.splice(4, 2, 0, 0)
    const tcp = TCP_HEADER.slice()
    tcp.splice(16, 2, ...word(sum(pseudo(inner, 6, 0))))
    const type = tunnel.outer4 ? [0x08, 0x00] : [0x86, 0xdd]
    return [...ETHERNET, ...type, ...seeded, ...rest, ...tcp, ...payload]
  }

  test('every segment has right lengths and checksums, outside and inside', () => {
    const host = runningHost()
    const packet = Uint8Array.from(asked())
    putContext(host, 0, { ip: outer.length + rest.length, l4: 20, l4Type: 1, v4: tunnel.outer4, mss: MSS })
    const options = {
      command: TSE,
      options: TXSM | (tunnel.outer4 ? IXSM : 0),
      paylen: payload.length,
      parts: 3,
    }
    const frames = send(host, putData(host, 1, packet, options)).map((frame) => [...frame])
    expect(frames.length).toBe(SEGMENTS)
    const data: number[] = []
    frames.forEach((frame, index) => {
      const l3 = 14
      const inside = l3 + outer.length + between.length
      const l4 = inside + inner.length
      const outerHeader = frame.slice(l3, l3 + outer.length)
      if (tunnel.outer4) {
        expect(internetChecksum(outerHeader)).toBe(0)
        expect(outerHeader[2] * 256 + outerHeader[3]).toBe(frame.length - l3)
        expect(outerHeader[4] * 256 + outerHeader[5]).toBe(1 + index)
      } else expect(outerHeader[4] * 256 + outerHeader[5]).toBe(frame.length - l3 - 40)
      expect(frame.slice(l3 + outer.length, l4)).toEqual(rest)
      if (tunnel.inner4) expect(internetChecksum(frame.slice(inside, l4))).toBe(0)
      expect(internetChecksum([...pseudo(inner, 6, frame.length - l4), ...frame.slice(l4)])).toBe(0)
      if (tunnel.udpChecksum === true) {
        const udp = frame.slice(l3 + outer.length)
        expect(internetChecksum([...pseudo(outerHeader, 17, udp.length), ...udp])).toBe(0)
      }
      data.push(...frame.slice(l4 + 20))
    })
    expect(data).toEqual(payload)
    expect(host.breaches()).toEqual([])
  })
})
