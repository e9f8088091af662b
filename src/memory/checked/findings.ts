/** What --check can find, and how it is told. */
import { IxyError } from '../../errors.ts'

/** Each kind, and what to do about it. The names are stable: `end.error.finding.kind` with --json. */
export const FIXES = {
  'double-free': 'free a packet once, and not after transmit(), which frees it by itself',
  'double-transmit': 'transmit a packet once; what is to leave twice is copied into a buffer of its own',
  'use-after-free': 'do with a packet what is to be done before it is freed',
  'use-after-transmit': 'do with a packet what is to be done before it is transmitted',
  'write-after-free': 'write to a packet before it is freed, never after',
  'write-after-transmit': 'write to a packet before it is transmitted, never after',
  'not-owned': 'use ids that receive() or allocate() has given, and none but those of this batch',
  'foreign-id': 'use ids that receive() or allocate() of this worker has given',
  'out-of-bounds': 'write within the packet: from memory.dataOffset(id) on, memory.size[id] bytes',
  'wrong-length': 'set memory.size[id] to the length of what was written, without FCS',
  'wrong-offload':
    'set the fields of memory.offloads for the packet as it is, or leave its flags and segment 0',
  'wrong-count': 'give a whole number, within the array',
  'wrong-array': 'give an Int32Array, by memory.batch(length)',
  leak: 'free or transmit every packet, on every path, and in quiet() what is still held',
} as const

export type Kind = keyof typeof FIXES

export interface Finding {
  readonly kind: Kind
  /** The buffer's id, null if it isn't about one. */
  readonly packet: number | null
  /** How many times the buffer had been received or allocated. */
  readonly use: number
  /** Where in the app it shows, where the packet came from, and where it was given away; null: unknown, or nowhere yet. */
  readonly at: string | null
  readonly takenAt: string | null
  readonly givenAt: string | null
}

/** What an error of --check is about, wherever it comes from: between threads it becomes another error's cause. */
export function findingOf(error: Error): Finding | null {
  if ('finding' in error) return error.finding as Finding
  return error.cause instanceof Error ? findingOf(error.cause) : null
}

/** IXY_ERR_CHECK, with the finding as a property of its own. */
export function errorOf(finding: Finding, what: string): IxyError {
  const place = finding.at === null ? '' : `${finding.at}: `
  const error = new IxyError('IXY_ERR_CHECK', `${place}${finding.kind}: ${what}`, FIXES[finding.kind])
  return Object.assign(error, { finding })
}
