/** Devices and wires at the cursor: what this machine has, and the kinds there are. */
import path from 'node:path'
import { endOfPart } from '../../captures/file-name.ts'
import { FAULTS } from '../../vnic/wires/fault-options.ts'
import type { WireKind } from '../../vnic/wires/kind.ts'
import { WIRE_KINDS } from '../../vnic/wires/list.ts'

export interface Candidate {
  /** The whole word, also what is there of it already. */
  readonly word: string
  /** One line; '' if there is nothing to say. */
  readonly about: string
}

/** What there is on this machine. Asked only when it is wanted. */
export interface Surroundings {
  /** Network cards by their addresses. */
  cards(): readonly Candidate[]
  /** Names of TAP interfaces. */
  taps(): readonly string[]
  /** Names in a folder, those of folders with a `/` behind them; none if it can't be read. */
  files(folder: string): readonly string[]
}

const FORMS: readonly Candidate[] = [
  { word: 'virtual:', about: 'a virtual 82599 for the life of this command' },
  { word: 'tap:', about: 'a TAP interface of Linux' },
  { word: 'vfio-user:', about: 'the socket of a vfio-user server, such as ixy-ts vnic' },
  { word: 'vhost-user:', about: "the socket of a vhost-user back end, such as DPDK's" },
]

/** Devices that may begin with `current`. */
export function deviceCandidates(current: string, around: Surroundings): readonly Candidate[] {
  const [, form, rest] = /^(virtual|tap|vfio-user|vhost-user):(.*)$/s.exec(current) ?? []
  if (form === undefined) {
    // The domain may be left out.
    const short = around.cards().map(({ word, about }) => ({ word: word.replace(/^0000:/, ''), about }))
    return [...around.cards(), ...(/^\w+:/.test(current) ? short : []), ...FORMS]
  }
  const inner =
    form === 'virtual'
      ? wireCandidates(rest, around)
      : (form === 'tap' ? around.taps() : filesFrom(rest, around)).map((word) => ({ word, about: '' }))
  return inner.map(({ word, about }) => ({ word: `${form}:${word}`, about }))
}

/** Wires that may begin with `current`, a comma-separated list whose last part is being written. */
export function wireCandidates(current: string, around: Surroundings): readonly Candidate[] {
  let start = 0
  let last: WireKind | undefined
  for (let end = endOfPart(current, 0); end < current.length; end = endOfPart(current, start)) {
    const name = current.slice(start, end).split('=', 1)[0]
    if (Object.hasOwn(WIRE_KINDS, name)) last = WIRE_KINDS[name]
    start = end + 1
  }
  const head = current.slice(0, start)
  const part = current.slice(start)
  return partCandidates(part, last, around).map(({ word, about }) => ({ word: head + word, about }))
}

function partCandidates(part: string, last: WireKind | undefined, around: Surroundings): Candidate[] {
  const equals = part.indexOf('=')
  if (equals >= 0) {
    const name = part.slice(0, equals)
    return valuesOf(name, part.slice(equals + 1), around).map((word) => ({
      word: `${name}=${word}`,
      about: '',
    }))
  }
  const options = last?.options.map((name) => ({
    word: last.usage.includes(`${name}=`) ? `${name}=` : name,
    about: last.usage,
  }))
  const kinds = Object.entries(WIRE_KINDS).map(([name, { takesValue, usage }]) => ({
    word: takesValue ? `${name}=` : name,
    about: usage,
  }))
  return [...(options ?? []), ...kinds]
}

function valuesOf(name: string, value: string, around: Surroundings): readonly string[] {
  if (name === 'tap') return around.taps()
  if (name === 'replay' || name === 'record') return filesFrom(value, around)
  if (name === 'rate') return ['max']
  if (name !== 'fault') return []
  const head = value.slice(0, value.lastIndexOf('+') + 1)
  return FAULTS.map((fault) => `${head}${fault}=`)
}

/** Paths that begin with `value`. What is hidden shows where its dot is written. */
function filesFrom(value: string, around: Surroundings): string[] {
  const head = value.slice(0, value.lastIndexOf('/') + 1)
  const begun = value.slice(head.length)
  return around
    .files(head === '' ? '.' : path.normalize(head))
    .filter((name) => begun.startsWith('.') || !name.startsWith('.'))
    .map((name) => head + name.replaceAll(/[,\\]/g, '\\$&'))
}
