/** Packets as they are seen in networks, and damaged ones, by a seed. */
import { internetChecksum } from '../../src/packet/checksum.ts'
import { Random } from '../../src/vnic/wires/random.ts'

export interface SeenPacket {
  /** As far as it was captured. */
  readonly data: Uint8Array
  readonly wireLength: number
}

const MACS = ['020000000001', '020000000002', '525400123456', 'ffffffffffff', '01005e0000fb', '333300000001']
const IPV4 = [
  [10, 0, 0, 1],
  [10, 0, 0, 2],
  [10, 0, 1, 7],
  [192, 168, 1, 10],
  [192, 168, 1, 255],
  [172, 16, 5, 4],
  [8, 8, 8, 8],
  [224, 0, 0, 251],
  [239, 1, 2, 3],
  [255, 255, 255, 255],
  [0, 0, 0, 0],
]
const IPV6 = [
  'fe800000000000000000000000000001',
  '20010db8000000000000000000000001',
  '20010db8000000000000000000000002',
  '20010db8000100000000000000000005',
  'ff020000000000000000000000000001',
  'ff0200000000000000000001ff000001',
  '00000000000000000000000000000001',
]
const WELL_KNOWN = [22, 25, 53, 67, 68, 80, 123, 161, 443, 1337, 3389, 4789, 5000, 8080, 20000, 33000, 65535]
/** Ports that mean nothing to tcpdump. */
export const UNKNOWN_PORTS = [20_011, 20_012, 20_013, 31_001, 44_044, 65_000]

const hex = (text: string): number[] => [...Buffer.from(text, 'hex')]
const u16 = (value: number): number[] => [(value >>> 8) & 255, value & 255]
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value)]

export class Traffic {
  private readonly random: Random
  private readonly ports: readonly number[]

  constructor(seed: number, ports: readonly number[] = WELL_KNOWN) {
    this.random = new Random(seed)
    this.ports = ports
  }

  /** A packet that may be damaged or cut. */
  next(): SeenPacket {
    const frame = Uint8Array.from(this.frame())
    const data = this.chance(0.15) ? this.damaged(frame) : frame
    const wireLength = data.length
    if (!this.chance(0.15)) return { data, wireLength }
    return { data: data.subarray(0, 1 + this.below(wireLength)), wireLength }
  }

  /** A frame as it should be. */
  frame(): number[] {
    const [type, payload] = this.packet()
    return [...hex(this.of(MACS)), ...hex(this.of(MACS)), ...this.tagged(type, payload)]
  }

  below(limit: number): number {
    return this.random.below(limit)
  }

  private chance(share: number): boolean {
    return this.random.next() < share * 2 ** 32
  }

  private of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]
  }

  private bytes(count: number): number[] {
    return Array.from({ length: count }, () => this.below(256))
  }

  private port(): number {
    return this.chance(0.9) ? this.of(this.ports) : this.ports[0] + this.below(3)
  }

  private damaged(frame: Uint8Array): Uint8Array {
    const damaged = frame.slice()
    for (let i = 1 + this.below(4); i > 0; i--) {
      // Headers rather than payload.
      const at = this.below(this.chance(0.8) ? Math.min(64, damaged.length) : damaged.length)
      damaged[at] = this.chance(0.5) ? this.below(256) : damaged[at] ^ (1 << this.below(8))
    }
    return damaged
  }

  private tagged(type: number, payload: number[]): number[] {
    const kind = this.below(20)
    const tci = (): number[] => u16((this.below(8) << 13) | this.of([1, 7, 100, 200, 4095]))
    if (kind === 0) return [0x88, 0xa8, ...tci(), 0x81, 0x00, ...tci(), ...u16(type), ...payload]
    if (kind < 4) return [0x81, 0x00, ...tci(), ...u16(type), ...payload]
    if (kind === 4) {
      const label = (this.of([3, 16, 1024, 100_000]) << 12) | 64
      const outer = this.chance(0.3) ? u32((1024 << 12) | 64) : []
      return [0x88, 0x47, ...outer, ...u32(label | 0x100), ...payload]
    }
    if (kind === 5) {
      const ppp = [...u16(type === 0x86dd ? 0x57 : 0x21), ...payload]
      return [0x88, 0x64, 0x11, 0x00, ...u16(this.of([1, 0x39])), ...u16(ppp.length), ...ppp]
    }
    return [...u16(type), ...payload]
  }

  private packet(): [type: number, payload: number[]] {
    const kind = this.below(20)
    if (kind < 2) return [0x0806, this.arp()]
    if (kind === 2) return [this.of([0x8035, 0x88cc, 0x9000, 0x888e, 0x809b, 0x6003]), this.bytes(46)]
    if (kind === 3) return this.llc()
    if (kind < 14) return [0x0800, this.padded(this.ipv4())]
    return [0x86dd, this.padded(this.ipv6())]
  }

  private padded(packet: number[]): number[] {
    return packet.length < 46 ? [...packet, ...Array<number>(46 - packet.length).fill(0)] : packet
  }

  private arp(): number[] {
    const operation = this.of([1, 1, 2, 2, 3, 9])
    const senderMac = hex(this.of(MACS))
    const target = operation === 1 ? Array<number>(6).fill(0) : hex(this.of(MACS))
    const sender = this.chance(0.1) ? [0, 0, 0, 0] : this.of(IPV4)
    const packet = [0, 1, 8, 0, 6, 4, 0, operation, ...senderMac, ...sender, ...target, ...this.of(IPV4)]
    return this.chance(0.5) ? this.padded(packet) : packet
  }

  /** IEEE 802.3: a length where the type is, then 802.2. */
  private llc(): [type: number, payload: number[]] {
    const stp = [0x42, 0x42, 3, 0, 0, 0, 0, 0, ...this.bytes(30)]
    const ipx = [0xe0, 0xe0, 3, 0xff, 0xff, ...this.bytes(28)]
    const netbeui = [0xf0, 0xf0, 3, ...this.bytes(20)]
    const iso = [0xfe, 0xfe, 3, 0x83, ...this.bytes(30)]
    const snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0, ...this.ipv4()]
    const payload = this.of([stp, ipx, netbeui, iso, snap])
    return [payload.length, payload]
  }

  private ipv4(): number[] {
    const options = this.chance(0.1) ? [0x94, 4, 0, 0, ...(this.chance(0.5) ? [1, 1, 1, 0] : [])] : []
    const [protocol, payload] = this.transport(false)
    const fragment = this.chance(0.1) ? this.of([0x2000, 0x2010, 0x0010, 0x00b9]) : this.of([0, 0x4000])
    const source = this.address()
    const destination = this.address()
    const header = [
      (4 << 4) | (5 + options.length / 4),
      this.of([0, 0, 0x10, 0xb8, 3]),
      ...u16(20 + options.length + payload.length),
      ...u16(this.below(65536)),
      ...u16(fragment),
      this.of([1, 63, 64, 128, 255]),
      protocol,
      0,
      0,
      ...source,
      ...destination,
      ...options,
    ]
    const sum = internetChecksum(Uint8Array.from(header), 0, header.length)
    header[10] = sum >> 8
    header[11] = sum & 255
    return [...header, ...payload]
  }

  private address(): number[] {
    return this.chance(0.9) ? this.of(IPV4) : this.bytes(4)
  }

  private ipv6(): number[] {
    let [next, payload] = this.transport(true)
    for (let i = this.chance(0.25) ? 1 + this.below(3) : 0; i > 0; i--) {
      // Hop-by-hop options come first, if at all (RFC 8200 §4.1).
      const kind = this.of(i === 1 ? [0, 43, 44, 60] : [43, 44, 60])
      if (kind === 44)
        payload = [next, 0, ...u16(this.of([0, 1, 8, 9, 1448])), ...u32(this.below(2 ** 31)), ...payload]
      else payload = [next, 0, ...(kind === 43 ? [0, 0, 0, 0, 0, 0] : [1, 4, 0, 0, 0, 0]), ...payload]
      next = kind
    }
    const first = [0x60 | this.of([0, 0, 0x0b]), this.of([0, 0x80]), ...u16(this.of([0, 0x1234]))]
    const addresses = [...this.address6(), ...this.address6()]
    return [...first, ...u16(payload.length), next, this.of([1, 64, 255]), ...addresses, ...payload]
  }

  private address6(): number[] {
    return this.chance(0.9) ? hex(this.of(IPV6)) : this.bytes(16)
  }

  private transport(ipv6: boolean): [protocol: number, payload: number[]] {
    const kind = this.below(10)
    const payload = this.bytes(this.of([0, 1, 4, 18, 64, 300]))
    if (kind < 4) return [6, this.tcp(payload)]
    if (kind < 7) return [17, this.udp(payload)]
    if (kind < 9) return ipv6 ? [58, this.icmp6()] : [1, this.icmp()]
    return [this.of([2, 47, 50, 89, 103, 112, 132, 200]), this.bytes(40)]
  }

  private tcp(payload: number[]): number[] {
    const flags = this.of([0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0xc2, 0x30, 0, 0x29])
    const option = this.of([
      [2, 4, 5, 0xb4],
      [1, 1, 8, 10, ...this.bytes(8)],
      [4, 2, 1, 3, 3, 7, 0, 0],
    ])
    const options = this.chance(0.4) ? option : []
    return [
      ...u16(this.port()),
      ...u16(this.port()),
      ...this.bytes(8),
      (5 + options.length / 4) << 4,
      flags,
      ...this.bytes(4),
      ...u16((flags & 0x20) === 0 ? 0 : 7),
      ...options,
      ...((flags & 2) === 0 ? payload : []),
    ]
  }

  private udp(payload: number[]): number[] {
    return [
      ...u16(this.port()),
      ...u16(this.port()),
      ...u16(8 + payload.length),
      ...this.bytes(2),
      ...payload,
    ]
  }

  private icmp(): number[] {
    const type = this.of([0, 8, 0, 8, 3, 3, 11, 5, 12, 13, 14, 17])
    const codes: Readonly<Record<number, readonly number[]>> = {
      3: [0, 1, 2, 3, 4, 5, 9, 10, 13],
      5: [0, 1],
      11: [0, 1],
    }
    const rest =
      type === 3 || type === 11 || type === 5 ? this.ipv4().slice(0, 28) : this.bytes(this.of([8, 56]))
    const words = type === 3 ? [0, 0, ...u16(1400)] : this.bytes(4)
    const message = [type, this.of(codes[type] ?? [0]), 0, 0, ...words, ...rest]
    const sum = internetChecksum(Uint8Array.from(message), 0, message.length)
    message[2] = sum >> 8
    message[3] = sum & 255
    return message
  }

  private icmp6(): number[] {
    const type = this.of([128, 129, 128, 129, 1, 2, 3, 133, 134, 135, 136, 143])
    return [
      type,
      type === 1 ? this.of([0, 1, 3, 4]) : 0,
      ...this.bytes(2),
      ...this.bytes(4),
      ...hex(this.of(IPV6)),
      ...this.bytes(8),
    ]
  }
}

/** `count` packets of a seed. */
export function traffic(seed: number, count: number): SeenPacket[] {
  const source = new Traffic(seed)
  return Array.from({ length: count }, () => source.next())
}
