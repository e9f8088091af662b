/** What makes a command of an app that ixy-ts brings along. */
import type { Command } from 'commander'
import type { App } from '../engine/app.ts'
import type { IxyError } from '../errors.ts'

/** What a run has moved, in words. */
export interface Moved {
  /** `1,234 packets`: sent by all devices together. */
  readonly packets: string
  /** `1,234 packets`: received by all devices together. */
  readonly received: string
  /** `9.85 Mpps`: the average of that. */
  readonly rate: string
}

/** What the app's result means. */
export interface Findings {
  /** Goes into the `end` object. */
  readonly json: Readonly<Record<string, unknown>>
  /** A paragraph of the summary: how its first line begins, the rest of it, and further lines. */
  readonly text: { readonly title: string; readonly first: string; readonly lines: readonly string[] } | null
  /** Lines for the log. */
  readonly warnings: readonly string[]
  /** What has been lost, where the app knows it better than the balance. */
  readonly loss: { readonly lost: number; readonly of: number } | null
  /** That paragraph is all of the summary: what was moved and lost says nothing by itself. */
  readonly alone?: boolean
  /** Packets that the app itself has lost, on top of what the balance knows. */
  readonly lostHere?: number
}

export interface AppCommand<Options = unknown, Flags = unknown> {
  readonly app: App<Options, unknown>
  readonly alias?: string
  /** One line. */
  readonly description: string
  /** The device arguments, a name and a description each; the last ones may be left out. */
  readonly devices: readonly (readonly [string, string, 'optional'?])[]
  /** What --help ends with. */
  readonly examples: string
  addOptions(command: Command): void
  /** Once all options are there, also those of every run. */
  adjustOptions?(command: Command): void
  /** `flags` are the command's own, and those of every run; `words` what follows on the devices. Throws IXY_ERR_USAGE. */
  options(flags: Flags, words: readonly string[]): Options
  /** A capture that is read besides those of the devices: the option, and its file. */
  reads?(options: Options): { readonly option: string; readonly file: string } | null
  /** The same of one that it writes, `-` for stdout. */
  writes?(options: Options): { readonly option: string; readonly file: string } | null
  /** It prints lines of its own, instead of those of intervals. */
  prints?(options: Options): boolean
  /** Nothing but a real link holds it to line rate. */
  flatOut?(options: Options): boolean
  /** The first words of the summary. */
  headline(moved: Moved): string
  /** `result`: null if the run has not come to one. */
  findings?(result: unknown): Findings
  /** Those of its counters that are of packets which it was to pass on and has lost. */
  readonly lossCounters?: readonly string[]
  /** The expectations of its own that the run has not met. */
  unmet?(result: unknown, flags: Flags): readonly IxyError[]
}
