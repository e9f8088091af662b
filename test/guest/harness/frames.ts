/** Frames that the far end sends. Minimal, and written without the product's packet code, which is under test. */

const bytesOf = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex')

function u16(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 2)
  values.forEach((value, index) => buffer.writeUInt16BE(value, index * 2))
  return buffer
}

export function ethernet(to: string, from: string, type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.concat([bytesOf(to), bytesOf(from), u16(type), payload])
  return frame.length >= 60 ? frame : Buffer.concat([frame, Buffer.alloc(60 - frame.length)])
}

/** The frame in a VLAN. `tag`: priority and id. */
export function tagged(frame: Buffer, tag: number): Buffer {
  return Buffer.concat([frame.subarray(0, 12), u16(0x8100, tag), frame.subarray(12)])
}

/** A frame of `length` bytes with the ethertype for local experiments: counted, then dropped by every stack. */
export function experimental(to: string, from: string, length: number): Buffer {
  return ethernet(to, from, 0x88b5, Buffer.alloc(length - 14, 0xa5))
}

const ipv4Address = (text: string): Buffer => Buffer.from(text.split('.').map(Number))

/** Who has `wanted`? Asked of everyone. */
export function arpRequest(from: string, sender: string, wanted: string): Buffer {
  const request = [
    u16(1, 0x0800, 0x0604, 1),
    bytesOf(from),
    ipv4Address(sender),
    Buffer.alloc(6),
    ipv4Address(wanted),
  ]
  return ethernet('ff:ff:ff:ff:ff:ff', from, 0x0806, Buffer.concat(request))
}

export const isArp = (frame: Buffer): boolean => frame.readUInt16BE(12) === 0x0806

function ipv6Address(text: string): Buffer {
  const [head = '', tail] = text.split('::')
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16))
  const before = words(head)
  const after = tail === undefined ? [] : words(tail)
  return u16(...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after)
}

function onesComplementSum(bytes: Buffer): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** Protocols, by their numbers. */
export const PROTOCOL = { tcp: 6, udp: 17, sctp: 132, experiment: 253 }
export type Protocol = keyof typeof PROTOCOL

/** What stands where a checksum should. */
const WRONG = 0xdead

export interface Flow {
  readonly from: string
  readonly fromPort: number
  readonly to: string
  readonly toPort: number
}

/** What IP carries: a header whose checksum is wrong, and data. */
function segment(protocol: Protocol, { fromPort, toPort }: Flow, data: Uint8Array): Buffer {
  const ports = u16(fromPort, toPort)
  switch (protocol) {
    case 'tcp':
      return Buffer.concat([ports, u16(0, 1, 0, 0, 0x5010, 1000, WRONG, 0), data])
    case 'udp':
      return Buffer.concat([ports, u16(8 + data.length, WRONG), data])
    // One chunk of data, which begins and ends its message. For the checksum a card wants zero there.
    case 'sctp':
      return Buffer.concat([ports, u16(0, 1, 0, 0, 3, 16 + data.length, 0, 1, 0, 0, 0, 0), data])
    case 'experiment':
      return Buffer.from(data)
  }
}

/** An IP packet of this flow with its ethertype. The checksum in it is wrong, and so is IPv4's, if `wrong`. */
export function ipPacket(
  flow: Flow,
  protocol: Protocol,
  { data = Buffer.alloc(20), wrong = false }: { data?: Uint8Array; wrong?: boolean } = {},
): { type: number; payload: Buffer } {
  const carried = segment(protocol, flow, data)
  const number = PROTOCOL[protocol]
  if (flow.from.includes(':')) {
    const header = Buffer.concat([u16(0x6000, 0, carried.length), Buffer.from([number, 64])])
    return {
      type: 0x86dd,
      payload: Buffer.concat([header, ipv6Address(flow.from), ipv6Address(flow.to), carried]),
    }
  }
  const header = Buffer.concat([
    u16(0x4500, 20 + carried.length, 0, 0, (64 << 8) | number, 0),
    ...[ipv4Address(flow.from), ipv4Address(flow.to)],
  ])
  header.writeUInt16BE(wrong ? WRONG : onesComplementSum(header), 10)
  return { type: 0x0800, payload: Buffer.concat([header, carried]) }
}
