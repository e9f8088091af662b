/** From options to what each worker is to do, and to whom its packets go. */
import type { Plan, PlanContext } from '../../engine/app.ts'
import { Counting } from './counted.ts'
import type { CaptureJob, CaptureOptions } from './options.ts'
import { Showing } from './showing.ts'
import { Writing } from './writing.ts'

/** Throws IXY_ERR_FILE if the file can't be written, IXY_ERR_USAGE for a filter that is none. */
export function planCapture(options: CaptureOptions, context: PlanContext): Plan<CaptureJob> {
  if (options.file !== null) return new Writing(options, options.file, context)
  return options.show === null ? new Counting(options, context) : new Showing(options, options.show, context)
}
