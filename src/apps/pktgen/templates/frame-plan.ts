/** What a stream sends, packet by packet, worked out beforehand: all that is left to do for a packet are additions. */
import type { PacketChecksum, PacketField, PacketPlan } from '../../../driver/recipe.ts'
import { read16, read32 } from '../../../packet/big-endian.ts'
import { type Header, headerBytes, sumOver } from '../../../packet/headers.ts'
import { buildFrame, type FrameTemplate, headersOf } from '../../../packet/template.ts'

/** How many values a field takes, from that in the template on; those that aren't named keep it. */
export type Counts = { readonly [Name in FieldName]?: number | undefined }
export type FieldName = (typeof FIELDS)[number]

/** In the order in which `product` goes through them: the first one changes with every packet. */
const FIELDS = [
  'sourceIp',
  'destinationIp',
  'sourcePort',
  'destinationPort',
  'sourceMac',
  'destinationMac',
] as const

/**
 * How the values of several fields go together. `turn`: with every packet, each goes on to its next one. `product`: every
 * combination comes once before any comes again. `random`: each is drawn anew for every packet, of numbers that depend on the seed
 * and the packet's number only.
 */
export const ORDERS = ['turn', 'product', 'random'] as const satisfies readonly PacketPlan['order'][]
export type Order = PacketPlan['order']

/**
 * Packet k has the size of turn k mod turns.length, and its fields the values of step k. Can be posted to a worker.
 */
export interface FramePlan extends PacketPlan {
  readonly seed: number
}

/** `sizes` are taken in turn: one size, or IMIX_SIZES. `counts` must fit behind what the template has. */
export function planFrames(
  template: FrameTemplate,
  sizes: readonly number[],
  counts: Counts = {},
  order: Order = 'turn',
  seed = 0,
): FramePlan {
  const different = [...new Set(sizes)]
  const headers = headersOf(template)
  const last = headers.length - 1
  const outerUdp = headers.findIndex(({ kind }) => kind === 'vxlan') - 1
  const link = template.vxlan === null ? 0 : outerUdp + 2
  const templates = different.map((size) => buildFrame(template, size))
  const fields = FIELDS.flatMap((name) => {
    const count = counts[name] ?? 1
    return count === 1 ? [] : [fieldOf(name, headers, link, count, templates[0])]
  })
  const echoSequence = template.protocol === 'icmp' ? headerBytes(headers, last) + ECHO_SEQUENCE : null
  const severalFlows = fields.some(({ reach }) => reach !== 'link')
  const entropyPort = template.vxlan !== null && severalFlows ? headerBytes(headers, outerUdp) : null
  const changing = [
    ...fields,
    ...[echoSequence, entropyPort].flatMap((offset) => (offset === null ? [] : [{ offset, bytes: 2 }])),
  ]
  const addressesDiffer = fields.some(({ reach }) => reach === 'addresses')
  const ip = headers.findIndex(({ kind }, i) => i >= link && kind === 'ipv4')
  const written = [...(addressesDiffer ? [ip] : []), last, outerUdp].filter(
    (i) => i >= 0 && headers[i].checksum,
  )
  const checksum = (i: number): PacketChecksum | null =>
    written.includes(i) ? { offset: checksumAt(headers, i), sums: sumsOf(i) } : null
  /** As in the template counts what stays as it is there. */
  const sumsOf = (i: number): number[] =>
    templates.map((filled) => {
      const frame = filled.slice()
      for (const j of written) if (j >= i) blank(frame, { offset: checksumAt(headers, j), bytes: 2 })
      for (const place of changing) blank(frame, place)
      return sumOver(headers, i, frame)
    })
  const transport = checksum(last)
  const peculiarities = {
    isUdp: template.protocol === 'udp',
    overAddresses: headers[last].checksum?.over === 'addresses',
  }
  return {
    templates,
    turns: sizes.map((size) => different.indexOf(size)),
    fields,
    order,
    seed,
    ip: checksum(ip),
    transport: transport === null ? null : { ...transport, ...peculiarities },
    echoSequence,
    entropyPort,
    outer: checksum(outerUdp),
  }
}

const ECHO_SEQUENCE = 6

function checksumAt(headers: readonly Header[], i: number): number {
  return headerBytes(headers, i) + (headers[i].checksum?.at ?? 0)
}

function blank(frame: Uint8Array, { offset, bytes }: Pick<PacketField, 'offset' | 'bytes'>): void {
  frame.fill(0, offset, offset + bytes)
}

/** Where a field's last four bytes are, which differ, or its two. `link`: the innermost Ethernet header. */
function fieldOf(
  name: FieldName,
  headers: readonly Header[],
  link: number,
  count: number,
  frame: Uint8Array,
): PacketField {
  const last = headers.length - 1
  const ip = headerBytes(headers, last - 1)
  const transport = headerBytes(headers, last)
  const ethernet = headerBytes(headers, link)
  const ipv4 = headers[last - 1].kind === 'ipv4'
  const places: Record<FieldName, Omit<PacketField, 'first' | 'count'>> = {
    sourceIp: { offset: ip + (ipv4 ? 12 : 20), bytes: 4, reach: 'addresses' },
    destinationIp: { offset: ip + (ipv4 ? 16 : 36), bytes: 4, reach: 'addresses' },
    sourcePort: { offset: transport, bytes: 2, reach: 'transport' },
    destinationPort: { offset: transport + 2, bytes: 2, reach: 'transport' },
    sourceMac: { offset: ethernet + 8, bytes: 4, reach: 'link' },
    destinationMac: { offset: ethernet + 2, bytes: 4, reach: 'link' },
  }
  const place = places[name]
  const first = place.bytes === 2 ? read16(frame, place.offset) : read32(frame, place.offset)
  return { ...place, first, count }
}
