/** What became of the packets of a capture, for people and for scripts. */
import { counted, grouped } from '../../wording.ts'
import type { Findings } from '../command.ts'

/** received = filteredOut + captured + dropped + unwritten + afterEnd. */
export interface CaptureResult {
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
  const { file, files, bytes, received, filteredOut, captured, dropped, unwritten, afterEnd, missed } = result
  const lost = dropped + unwritten
  const where =
    file === null
      ? 'counted'
      : `in ${files > 1 ? `${counted(files, 'file')}, ` : ''}${file} (${grouped(bytes)} bytes)`
  return {
    json: { capture: result },
    text: {
      title: 'capture',
      first: `: ${counted(captured, 'packet')} ${where}`,
      lines: [
        `of ${grouped(received)} received: filtered out ${grouped(filteredOut)}, dropped ${grouped(dropped)}, ` +
          `unwritten ${grouped(unwritten)}, after the end ${grouped(afterEnd)}` +
          (missed === null ? '' : `; missed by the card ${grouped(missed)}`),
      ],
    },
    warnings:
      dropped > 0
        ? [
            `${counted(dropped, 'packet')} dropped: the file takes them too slowly; write to a faster disk, filter, or give -s`,
          ]
        : [],
    loss: null,
    lostHere: lost,
  }
}
