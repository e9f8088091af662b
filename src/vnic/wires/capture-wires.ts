/** The wires that play and write captures: their options, and what is started for them. */
import { isatty } from 'node:tty'
import { CaptureFeed } from '../../captures/feed.ts'
import { ONE_FILE } from '../../captures/file-limits.ts'
import { isStandardStream, unescaped } from '../../captures/file-name.ts'
import { probeCapture } from '../../captures/probe.ts'
import { usageError } from '../../errors.ts'
import { compileFilter } from '../../linux/pcap-library.ts'
import { MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import { makeFilter } from '../../packet/filter/translate.ts'
import { parseMac } from '../../packet/mac.ts'
import { MAX_CAPTURED_BYTES } from '../../packet/pcap.ts'
import { paceOf } from '../../packet/rate.ts'
import { byteSize, count, factor, seconds } from '../../quantity.ts'
import type { WireContext, WireItem } from './kind.ts'
import { RecordWire } from './record.ts'
import { ReplayWire } from './replay.ts'
import type { Wire } from './wire.ts'

/** The longest frame an 82599 can be set to receive is 15.5 KiB (82599 §8.2.3.22.13, MAXFRS). */
const LONGEST_FRAME = 15_872
/** A link speed to check rates with. */
const ANY_LINK = 10_000
/** A day, in seconds. */
const LONGEST_GAP = 86_400
const MOST_FILES = 100_000
/** A terabyte. */
const MOST_BYTES = 1e12

/** Throws IXY_ERR_USAGE, IXY_ERR_FILE. */
export function checkReplay(item: WireItem): void {
  replayOptions(item, ANY_LINK)
  if (isStandardStream(item.value, 0) && isatty(0))
    throw usageError(`${item.text} would read a capture from the terminal`, 'redirect stdin: < in.pcap')
  probeCapture(item.value)
}

/** The times in a capture can be anything. */
export function shareOfReplay(item: WireItem): number {
  return (replayOptions(item, ANY_LINK).pace?.perSecond ?? Infinity) === Infinity ? Infinity : 1
}

export function makeReplay(item: WireItem, context: WireContext, books: boolean): Wire {
  const { pace, ...spec } = replayOptions(item, context.linkMbit)
  const feed = new CaptureFeed({ ...spec, owner: context.owner ?? 'self' }, context.log)
  context.work.push(feed)
  const { repeat } = spec
  return new ReplayWire(item.text, feed, { pace, repeat }, books ? context.ledger : null, context.log)
}

function replayOptions({ value, options, text }: WireItem, linkMbit: number) {
  const rate = options.get('rate')
  const gap = options.get('gap')
  const mac = options.get('mac')
  if (rate !== undefined && (options.has('speed') || gap !== undefined))
    throw usageError(`${text}: rate= sets the capture's timing aside`, 'leave out speed= and gap=')
  if (options.has('strict') && options.get('strict') !== '')
    throw usageError(`${text}: strict takes no value`, 'write strict')
  return {
    name: value,
    pace: rate === undefined ? null : paceOf(rate, linkMbit),
    repeat: count('repeat=', options.get('repeat') ?? '1', 0, Number.MAX_SAFE_INTEGER),
    speed: factor('speed=', options.get('speed') ?? '1'),
    gap: gap === undefined ? Infinity : seconds('gap=', gap, 0.001, LONGEST_GAP) * 1000,
    mac: mac === undefined ? null : parseMac(mac),
    strict: options.has('strict'),
    shortest: MIN_FRAME_BYTES,
    longest: LONGEST_FRAME,
  }
}

/** Throws IXY_ERR_USAGE. */
export function checkRecord(item: WireItem): void {
  recordOptions(item)
  if (isStandardStream(item.value, 1) && isatty(1))
    throw usageError(`${item.text} would write a capture to the terminal`, 'redirect stdout: > out.pcap')
}

export function makeRecord(item: WireItem, context: WireContext, books: boolean): Wire {
  const { filter: program, ...options } = { ...recordOptions(item), owner: context.owner ?? 'self' } as const
  const filter = program === null ? null : makeFilter(program)
  const wire = new RecordWire(item.text, options, filter, books ? context.ledger : null, context.log)
  context.work.push(wire.recording)
  return wire
}

function recordOptions({ value, options, text }: WireItem) {
  const filesize = options.get('filesize')
  const files = options.get('files')
  const filter = options.get('filter')
  if (files !== undefined && filesize === undefined)
    throw usageError(`${text}: files= needs filesize=`, 'say at how many kB the next file is to begin')
  if (filesize !== undefined && isStandardStream(value, 1))
    throw usageError(`${text}: filesize= needs a file`, 'leave it out, or name a file')
  return {
    name: value,
    snapLength: byteSize(
      'snaplen=',
      options.get('snaplen') ?? `${MAX_CAPTURED_BYTES}`,
      1,
      MAX_CAPTURED_BYTES,
    ),
    filter: filter === undefined ? null : compileFilter(unescaped(filter)),
    limits: {
      ...ONE_FILE,
      single: filesize === undefined,
      fileBytes: filesize === undefined ? null : kilobytes(filesize),
      files: files === undefined ? Infinity : count('files=', files, 1, MOST_FILES),
    },
    pcapng: null,
  }
}

/** Kilobytes as for dumpcap, where no unit is given. As bytes. */
function kilobytes(text: string): number {
  return byteSize('filesize=', /^\d+$/.test(text) ? `${text}kB` : text, 1000, MOST_BYTES)
}
