/** A driver of Flow Director for tests, written independently of the code under test. */
import { put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Host, RX_RING } from './host.ts'
import { ipv4, ipv6 } from './packets.ts'

/** The keys that Intel's drivers use. */
const BUCKET_KEY = 0x3dad14e2
const SIGNATURE_KEY = 0x174d3614
const { PBALLOC, FLEX_OFFSET, DROP_QUEUE, MAX_LENGTH } = REG.FDIRCTRL.fields
/** The least memory, the bytes where the EtherType is, a queue that is off, and lists of ten. */
const USUAL = [put(PBALLOC, 1), put(FLEX_OFFSET, 6), put(DROP_QUEUE, 127), put(MAX_LENGTH, 10)]
const FIELDS = [PBALLOC, FLEX_OFFSET, DROP_QUEUE, MAX_LENGTH]

const TYPES = { ip: 0, udp: 1, tcp: 2, sctp: 3, udp6: 5, tcp6: 6 } as const

/** What is left out is 0. */
export interface Flow {
  readonly type: keyof typeof TYPES
  readonly from?: string
  readonly to?: string
  readonly sport?: number
  readonly dport?: number
  readonly flex?: number
  readonly vlan?: number
}

type Mask = 'FDIRM' | 'FDIRSIP4M' | 'FDIRDIP4M' | 'FDIRTCPM' | 'FDIRUDPM' | 'FDIRIP6M'

/** A host with four queues and Flow Director on. `control`: FDIRCTRL; fields that are 0 there get their usual value. */
export function flowHost(
  control: number,
  masks: Partial<Record<Mask, number>> = {},
  { start = true, fast = false } = {},
): Host {
  const host = new Host({ fast })
  host.initialise()
  host.acceptAll()
  host.write(REG.RXCSUM, REG.RXCSUM.fields.PCSD.mask)
  if (start) {
    host.write(REG.RXPBSIZE, 0x40000)
    for (const [name, value] of Object.entries(masks)) host.write(REG[name as Mask], value)
    host.write(REG.FDIRHKEY, BUCKET_KEY)
    host.write(REG.FDIRSKEY, SIGNATURE_KEY)
    const usual = USUAL.filter((_, i) => (control & FIELDS[i].mask) === 0)
    host.write(
      REG.FDIRCTRL,
      usual.reduce((all, value) => all | value, control),
    )
  }
  for (let queue = 0; queue < 4; queue++) host.startReceive(64, { queue, ring: RX_RING + queue * 0x1000 })
  host.enableReceive()
  host.waitForLink()
  return host
}

/** The stream of 352 bits, in words. */
function stream({ type, from, to, sport = 0, dport = 0, flex = 0, vlan = 0 }: Flow): number[] {
  const six = type.endsWith('6')
  const address = (text: string | undefined): number[] => {
    const bytes = text === undefined ? [] : six ? ipv6(text) : ipv4(text)
    return [0, 1, 2, 3].map((i) => Buffer.from([...bytes, ...Array<number>(16).fill(0)]).readUInt32BE(i * 4))
  }
  return [(TYPES[type] << 16) | vlan, ...address(to), ...address(from), (sport << 16) | dport, flex << 16]
}

/** As the datasheet has it: windows of 16 bits over the stream, which is folded to two words. */
function hash(key: number, words: readonly number[]): number {
  const [head, ...rest] = words
  const common = rest.reduce((all, word) => all ^ word, 0)
  const high = (common ^ head ^ (head >>> 16)) >>> 0
  const first = ((common >>> 16) | (common << 16)) >>> 0
  const low = (first ^ head ^ (head << 16)) >>> 0
  let result = 0
  for (let i = 0; i < 16; i++) {
    if ((key >>> i) & 1) result ^= (i === 0 ? first : low) >>> i
    if ((key >>> (i + 16)) & 1) result ^= high >>> i
  }
  return result & 0x7fff
}

const little = (bytes: readonly number[], at = 0): number => Buffer.from(bytes).readUInt32LE(at)
const swapped = (value: number): number => ((value & 0xff) << 8) | (value >> 8)

export class Flows {
  private readonly host: Host
  private readonly perfect: boolean

  constructor(host: Host) {
    this.host = host
    this.perfect = (host.read(REG.FDIRCTRL) & REG.FDIRCTRL.fields.PERFECT_MATCH.mask) !== 0
  }

  /** `queue` null: chooses none. `hash` in place of the right one. */
  add(
    flow: Flow,
    queue: number | 'drop' | null,
    options: { id?: number; command?: number; hash?: number } = {},
  ): void {
    const { host } = this
    const { DROP, LAST, QUEUE_EN, RX_QUEUE, L4TYPE, IPV6 } = REG.FDIRCMD.fields
    const type = TYPES[flow.type]
    this.fields(flow)
    this.name(flow, options.id, options.hash)
    const action =
      queue === null
        ? 0
        : QUEUE_EN.mask | (queue === 'drop' ? DROP.mask | put(RX_QUEUE, 127) : put(RX_QUEUE, queue))
    const what = put(L4TYPE, type & 3) | (type > 3 ? IPV6.mask : 0)
    host.write(REG.FDIRCMD, 1 | LAST.mask | action | what | (options.command ?? 0))
  }

  remove(flow: Flow, id?: number): void {
    this.name(flow, id)
    this.host.write(REG.FDIRCMD, 2)
  }

  /** FDIRCMD after the query. */
  query(flow: Flow, id?: number): number {
    this.name(flow, id)
    this.host.write(REG.FDIRCMD, 3)
    return this.host.read(REG.FDIRCMD)
  }

  private fields({ type, from, to, sport = 0, dport = 0, flex = 0, vlan = 0 }: Flow): void {
    const { host } = this
    const six = type.endsWith('6')
    const source = six ? ipv6(from ?? '::') : [...Array<number>(12).fill(0), ...ipv4(from ?? '0.0.0.0')]
    for (let i = 0; i < 3; i++) host.write(REG.FDIRSIPV6, little(source, i * 4), i)
    host.write(REG.FDIRIPSA, little(source, 12))
    host.write(REG.FDIRIPDA, six ? 0 : little(ipv4(to ?? '0.0.0.0')))
    host.write(REG.FDIRPORT, sport | (dport << 16))
    host.write(REG.FDIRVLAN, vlan | (swapped(flex) << 16))
  }

  private name(flow: Flow, id = 0, bucket?: number): void {
    // Perfect filters leave the destination of IPv6 alone.
    const seen = this.perfect && flow.type.endsWith('6') ? { ...flow, to: '::' } : flow
    const words = stream(seen)
    const upper = this.perfect ? id : hash(SIGNATURE_KEY, words)
    this.host.write(REG.FDIRHASH, (bucket ?? hash(BUCKET_KEY, words)) | (upper << 16))
  }
}
