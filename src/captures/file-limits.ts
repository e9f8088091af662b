/** A capture that is written in several files: where one ends, and which are kept. */
/** When the next file begins; null: not for that reason. */
export interface FileLimits {
  /** Once a file has so many bytes, or so many packets, or is so many seconds old. */
  readonly fileBytes: number | null
  readonly filePackets: number | null
  readonly fileSeconds: number | null
  /** How many files are kept, the newest; Infinity: all. */
  readonly files: number
  /** The capture is complete after so many files. */
  readonly lastFile: number
  /** The name is that of the only file: no number and no date in it. */
  readonly single: boolean
}

/** Everything in one file. */
export const ONE_FILE: FileLimits = {
  fileBytes: null,
  filePackets: null,
  fileSeconds: null,
  files: Infinity,
  lastFile: Infinity,
  single: true,
}
