/** TCP and UDP. */
import type { PacketFields, TcpFields } from './fields.ts'
import type { Part } from './part.ts'

const UDP_BYTES = 8
const TCP_BYTES = 20
const BAD_OPTION = '[bad opt]'
/** From the lowest bit on. */
const FLAGS = 'FSRP.UEW'

const Option = { END: 0, NOP: 1, MSS: 2, WINDOW_SCALE: 3, SACK_PERMITTED: 4, SACK: 5, TIMESTAMP: 8 } as const

export function decodeUdp(part: Part, out: PacketFields): void {
  if (!part.has(4)) {
    out.cut = 'udp'
    return
  }
  const ports = { sourcePort: part.u16(0), destinationPort: part.u16(2) }
  out.udp = ports
  if (part.length < UDP_BYTES) out.fault = `truncated-udp ${part.length}`
  else if (!part.has(UDP_BYTES)) out.cut = 'udp'
  else {
    const length = part.u16(4)
    const there = part.length - UDP_BYTES
    if (length < UDP_BYTES) out.fault = `truncated-udplength ${length}`
    else if (length - UDP_BYTES > there && out.ip?.fragment === undefined)
      out.fault = `UDP, bad length ${length - UDP_BYTES} > ${there}`
    else out.udp = { ...ports, length: length - UDP_BYTES }
  }
}

export function decodeTcp(part: Part, out: PacketFields): void {
  if (!part.has(4)) {
    out.cut = 'tcp'
    return
  }
  const tcp: TcpFields = { sourcePort: part.u16(0), destinationPort: part.u16(2) }
  out.tcp = tcp
  if (!part.has(TCP_BYTES)) {
    out.cut = 'tcp'
    return
  }
  const headerBytes = (part.byte(12) >>> 4) << 2
  if (headerBytes < TCP_BYTES) {
    out.fault = `tcp ${part.length - headerBytes} [bad hdr length ${headerBytes} - too short, < ${TCP_BYTES}]`
    return
  }
  const flags = part.byte(13)
  tcp.flags = [...FLAGS].filter((_, bit) => (flags & (1 << bit)) !== 0).join('')
  if (headerBytes > part.length) {
    out.fault = `[bad hdr length ${headerBytes} - too long, > ${part.length}]`
    return
  }
  tcp.sequence = part.u32(4)
  if (tcp.flags.includes('.')) tcp.acknowledgement = part.u32(8)
  tcp.window = part.u16(14)
  if (tcp.flags.includes('U')) tcp.urgentPointer = part.u16(18)
  tcp.length = part.length - headerBytes
  if (headerBytes === TCP_BYTES) return
  const options = part.first(headerBytes).after(TCP_BYTES)
  tcp.options = optionsOf(options)
  const last = tcp.options.at(-1)
  if (options.captured < options.length && last !== 'eol' && last !== BAD_OPTION) out.cut = 'tcp'
}

/** RFC 9293 §3.1; RFC 7323, 2018. As far as they were captured. */
function optionsOf(part: Part): string[] {
  const options: string[] = []
  for (let at = 0; at < part.captured;) {
    const kind = part.byte(at)
    if (kind === Option.END || kind === Option.NOP) {
      options.push(kind === Option.END ? 'eol' : 'nop')
      if (kind === Option.END) break
      at++
      continue
    }
    if (at + 1 >= part.captured) break
    const bytes = part.byte(at + 1)
    if (bytes < 2 || at + bytes > part.length) {
      options.push(BAD_OPTION)
      break
    }
    if (at + bytes > part.captured) break
    options.push(optionOf(part.after(at).first(bytes), kind))
    at += bytes
  }
  return options
}

/** One option, all of which is there. */
function optionOf(part: Part, kind: number): string {
  const bytes = part.length
  if (kind === Option.MSS && bytes === 4) return `mss ${part.u16(2)}`
  if (kind === Option.WINDOW_SCALE && bytes === 3) return `wscale ${part.byte(2)}`
  if (kind === Option.SACK_PERMITTED && bytes === 2) return 'sackOK'
  if (kind === Option.TIMESTAMP && bytes === 10) return `TS val ${part.u32(2)} ecr ${part.u32(6)}`
  if (kind === Option.SACK && bytes % 8 === 2) {
    const blocks: string[] = []
    for (let at = 2; at < bytes; at += 8) blocks.push(`{${part.u32(at)}:${part.u32(at + 4)}}`)
    return `sack ${blocks.length} ${blocks.join('')}`
  }
  return `unknown-${kind}${bytes === 2 ? '' : ` 0x${part.hex(2, bytes - 2)}`}`
}
