/** How much a sweep does. */
export interface Effort {
  readonly quick: boolean
  /** Length of the run whose memory is watched. */
  readonly seconds: number
}
