/** Every kind of wire: how it is written, what its options may be, how it is made. */
import { usageError } from '../../errors.ts'
import { checkInterfaceName, openTap } from '../../linux/tap.ts'
import { checkTemplate, DEFAULT_TEMPLATE, IMIX_SIZES, MAX_FLOWS } from '../../packet/template.ts'
import { MAX_FRAME_BYTES } from '../../packet/ethernet.ts'
import { averageBytes, lineRate, packetsPerSecond, paceOf } from '../../packet/rate.ts'
import { byteSize, count } from '../../quantity.ts'
import { loop } from './cable.ts'
import { faultOptions } from './fault-options.ts'
import { FaultWire } from './fault.ts'
import { type GenOptions, GenWire } from './gen.ts'
import { checkRecord, checkReplay, makeRecord, makeReplay, shareOfReplay } from './capture-wires.ts'
import type { WireItem, WireKind } from './kind.ts'
import { LimitedLoop } from './limited-loop.ts'
import { SinkWire } from './sink.ts'
import type { Wire } from './wire.ts'
import { TapWire } from './tap.ts'

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
    usage: 'loop[,rate=<r>[,queue=<frames>]]',
    takesValue: false,
    options: ['rate', 'queue'],
    role: 'onward',
    // All that the host sends.
    share: () => 1,
    check: (item) => void makeLoop(item, ANY_LINK),
    create: (item, { linkMbit }) => makeLoop(item, linkMbit),
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
    usage: 'record=<file>[,filter=<expression>][,snaplen=<bytes>][,filesize=<kB>[,files=<n>]]',
    takesValue: true,
    options: ['filter', 'snaplen', 'filesize', 'files'],
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

/** Frames that wait for a loop with a rate, unless queue= says otherwise, and at most. */
const QUEUE = 1_000
const LONGEST_QUEUE = 16_384

function makeLoop({ text, options }: WireItem, linkMbit: number): Wire {
  const [rate, queue] = [options.get('rate'), options.get('queue')]
  if (rate === undefined) {
    if (queue !== undefined) throw usageError(`'${text}' has a queue, but no rate`, 'add rate=<r>')
    return loop(text)
  }
  const pace = paceOf(rate, linkMbit)
  if (pace.perSecond === Infinity) throw usageError(`'${text}' has no limit`, 'leave rate=max out')
  const most = queue === undefined ? QUEUE : count('queue=', queue, 1, LONGEST_QUEUE)
  return new LimitedLoop(text, pace, most)
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
