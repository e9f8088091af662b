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

const TCP = 6

/** A TCP segment without data; its checksum is left 0. */
function tcp(fromPort: number, toPort: number): Buffer {
  return Buffer.concat([u16(fromPort, toPort, 0, 0, 0, 0), u16(0x5000, 0, 0, 0)])
}

export interface Flow {
  readonly from: string
  readonly fromPort: number
  readonly to: string
  readonly toPort: number
}

/** An IP packet of this flow with its ethertype; `ports` false leaves the transport header out (protocol 253). */
export function ipPacket(flow: Flow, ports: boolean): { type: number; payload: Buffer } {
  const segment = ports ? tcp(flow.fromPort, flow.toPort) : Buffer.alloc(20)
  const protocol = ports ? TCP : 253
  if (flow.from.includes(':')) {
    const header = Buffer.concat([u16(0x6000, 0, segment.length), Buffer.from([protocol, 64])])
    return {
      type: 0x86dd,
      payload: Buffer.concat([header, ipv6Address(flow.from), ipv6Address(flow.to), segment]),
    }
  }
  const header = Buffer.concat([
    u16(0x4500, 20 + segment.length, 0, 0, (64 << 8) | protocol, 0),
    ...[ipv4Address(flow.from), ipv4Address(flow.to)],
  ])
  header.writeUInt16BE(onesComplementSum(header), 10)
  return { type: 0x0800, payload: Buffer.concat([header, segment]) }
}
