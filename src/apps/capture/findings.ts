/** What became of the packets of a capture, for people and for scripts. */
import { counted, grouped } from '../../wording.ts'
import type { Findings } from '../command.ts'

/** received = filteredOut + captured + dropped + unwritten + afterEnd. */
export interface CaptureResult {
  /** What was done with the packets. */
  readonly how: 'written' | 'shown' | 'counted'
  /** null: nothing was written. */
  readonly file: string | null
  readonly files: number
  /** In all files. */
  readonly bytes: number
  readonly received: number
  readonly filteredOut: number
  /** In the file, or files; or shown. */
  readonly captured: number
  /** No room: what takes them was too slow. */
  readonly dropped: number
  /** Taken, but not written when the run ended, or when the disk was full. */
  readonly unwritten: number
  /** Came after the capture was complete. */
  readonly afterEnd: number
  /** By the card, before they could be received; null: not known. */
  readonly missed: number | null
}

const NONE: Findings = { json: {}, text: null, warnings: [], loss: null }

export function findingsOf(result: CaptureResult | null): Findings {
  if (result === null) return NONE
  const { received, filteredOut, captured, dropped, unwritten, afterEnd, missed } = result
  const fates = [
    `filtered out ${grouped(filteredOut)}`,
    `dropped ${grouped(dropped)}`,
    `unwritten ${grouped(unwritten)}`,
    `after the end ${grouped(afterEnd)}`,
  ]
  const before = missed === null ? '' : `; missed by the card ${grouped(missed)}`
  return {
    json: { capture: result },
    text: {
      title: 'capture',
      first: `: ${counted(captured, 'packet')} ${placeOf(result)}`,
      lines: [`of ${grouped(received)} received: ${fates.join(', ')}${before}`],
    },
    warnings: dropped > 0 ? [`${counted(dropped, 'packet')} dropped: ${REASONS[result.how]}`] : [],
    loss: null,
    lostHere: dropped + unwritten,
  }
}

const REASONS = {
  written:
    'what is written to takes them too slowly; choose a faster disk, filter, or keep less of each (-s)',
  shown: 'more than can be shown; write them to a file (-w), or filter',
  counted: '',
} as const

function placeOf({ how, file, files, bytes }: CaptureResult): string {
  if (file === null) return how
  const name = file === '-' ? 'on stdout' : `in ${file}`
  return `${files > 1 ? `in ${files} files named after ${file}` : name} (${grouped(bytes)} bytes)`
}
