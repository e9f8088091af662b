/** Every kind of wire: how it is written, what its options may be, how it is made. */
import { usageError } from '../../errors.ts'
import { checkInterfaceName, openTap, type Tap } from '../../linux/tap.ts'
import { checkTemplate, DEFAULT_TEMPLATE, IMIX_SIZES, MAX_FLOWS } from '../../packet/template.ts'
import { MAX_FRAME_BYTES } from '../../packet/ethernet.ts'
import { averageBytes, lineRate, packetsPerSecond } from '../../packet/rate.ts'
import { byteSize, count } from '../../quantity.ts'
import { loop } from './cable.ts'
import { faultOptions } from './fault-options.ts'
import { FaultWire } from './fault.ts'
import { type GenOptions, GenWire } from './gen.ts'
import type { Ledger } from './ledger.ts'
import type { Log } from '../../captures/messages.ts'
import {
  checkRecord,
  checkReplay,
  type FileWork,
  makeRecord,
  makeReplay,
  shareOfReplay,
} from './capture-wires.ts'
import { SinkWire } from './sink.ts'
import { TapWire } from './tap.ts'
import type { Wire } from './wire.ts'

/** One wire of a list, as written. */
export interface WireItem {
  /** `gen,rate=1Mpps` */
  readonly text: string
  readonly kind: WireKind
  /** What follows the `=` of the wire itself: `out.pcap`; '' if it takes nothing. */
  readonly value: string
  readonly options: ReadonlyMap<string, string>
}

export interface WireContext {
  /** Shared by all wires of a process. */
  readonly ledger: Ledger
  /** Line rate, and what `rate=10%` refers to. */
  readonly linkMbit: number
  /** Gets the work of other threads that has to be waited for, before the start and at the end. */
  readonly work: FileWork[]
  /** The process whose descriptors `/dev/fd/<n>` means; by default this one. */
  readonly owner?: number
  readonly log: Log
  /** Plugs into a TAP. Default: openTap. */
  readonly openTap?: (name: string) => Tap
}

export interface WireKind {
  /** How to write it. */
  readonly usage: string
  readonly takesValue: boolean
  readonly options: readonly string[]
  /**
   * What it does with a frame from the NIC: it is its end, it copies it and lets it pass, it hands it on to somewhere from
   * where it may come back, or it passes it on to the other wires with faults.
   */
  readonly role: 'end' | 'copy' | 'onward' | 'fault'
  /** What it may send of its own accord, as a share of line rate: 0, 1, or Infinity where nothing limits it. */
  share(item: WireItem): number
  /** Throws IXY_ERR_USAGE or IXY_ERR_FILE; creates nothing. */
  check(item: WireItem): void
  /** `books`: the wire books in the ledger what the NIC sends. `inner`: what is behind a fault. */
  create(item: WireItem, context: WireContext, books: boolean, inner: Wire): Wire
}

/** A link speed to check rates with. */
const ANY_LINK = 10_000

export const WIRE_KINDS: Readonly<Record<string, WireKind>> = {
  gen: {
    usage: 'gen[,rate=<r>][,size=<n>|,imix][,flows=<n>][,count=<n>]',
    takesValue: false,
    options: ['rate', 'size', 'imix', 'flows', 'count'],
    role: 'end',
    share: (item) => (genOptions(item, ANY_LINK).rate === null ? Infinity : 1),
    check: (item) => void genOptions(item, ANY_LINK),
    create: (item, { ledger, linkMbit }, books) =>
      new GenWire(item.text, genOptions(item, linkMbit), ledger, books),
  },
  sink: {
    usage: 'sink',
    takesValue: false,
    options: [],
    role: 'end',
    share: () => 0,
    check: () => undefined,
    create: (item, { ledger }, books) => new SinkWire(item.text, books ? ledger : null),
  },
  loop: {
    usage: 'loop',
    takesValue: false,
    options: [],
    role: 'onward',
    // All that the host sends.
    share: () => 1,
    check: () => undefined,
    create: (item) => loop(item.text),
  },
  tap: {
    usage: 'tap=<ifname>',
    takesValue: true,
    options: [],
    role: 'onward',
    share: () => Infinity,
    check: (item) => checkInterfaceName(item.value),
    create: (item, context) => new TapWire(item.text, (context.openTap ?? openTap)(item.value)),
  },
  replay: {
    usage: 'replay=<file>[,repeat=<n>][,rate=<r>|[,speed=<factor>][,gap=<max>]][,mac=<dst>][,strict]',
    takesValue: true,
    options: ['repeat', 'rate', 'speed', 'gap', 'mac', 'strict'],
    role: 'end',
    share: shareOfReplay,
    check: checkReplay,
    create: makeReplay,
  },
  record: {
    usage: 'record=<file>[,snaplen=<bytes>][,filesize=<kB>[,files=<n>]]',
    takesValue: true,
    options: ['snaplen', 'filesize', 'files'],
    role: 'copy',
    share: () => 0,
    check: checkRecord,
    create: makeRecord,
  },
  fault: {
    usage: 'fault=<list>',
    takesValue: true,
    options: [],
    role: 'fault',
    share: (item) => (faultOptions(item.value).dup > 0 ? Infinity : 0),
    check: (item) => void faultOptions(item.value),
    create: (item, _context, _books, inner) => new FaultWire(item.text, faultOptions(item.value), inner),
  },
}

function genOptions({ options }: WireItem, linkMbit: number): GenOptions {
  const imix = options.has('imix')
  if (imix && (options.has('size') || options.get('imix') !== ''))
    throw usageError('imix has sizes of its own', 'write gen,imix or gen,size=<n>')
  // Whatever the host's MTU: a NIC that is set to less counts longer frames as oversize.
  const size = byteSize('size=', options.get('size') ?? '60', 60, MAX_FRAME_BYTES)
  const sizes = imix ? IMIX_SIZES : [size]
  const flows = count('flows=', options.get('flows') ?? '1', 1, MAX_FLOWS)
  checkTemplate(DEFAULT_TEMPLATE, size, flows)
  const bytes = averageBytes(sizes)
  const wanted = rate(options, bytes, linkMbit)
  return {
    sizes,
    flows,
    // A virtual link is a link: it takes a word to send more than one carries.
    rate: wanted === Infinity ? null : (wanted ?? lineRate(bytes, linkMbit)),
    waits: wanted === null || wanted === Infinity,
    count: limit(options),
  }
}

function limit(options: ReadonlyMap<string, string>): number | null {
  const text = options.get('count')
  return text === undefined ? null : count('count=', text, 1, Number.MAX_SAFE_INTEGER)
}

function rate(options: ReadonlyMap<string, string>, frameBytes: number, linkMbit: number): number | null {
  const text = options.get('rate')
  return text === undefined ? null : packetsPerSecond(text, frameBytes, linkMbit)
}
