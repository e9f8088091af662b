/** What a chart is made of. */

export interface Line {
  readonly label: string
  /** One per x; null: nothing known, undefined: no point here. */
  readonly values: readonly (number | null | undefined)[]
  /** Place in the palette. */
  readonly colour: number
  readonly dashed: boolean
  /** The lowest and highest of what was merged into a point. */
  readonly band?: {
    readonly low: readonly (number | null | undefined)[]
    readonly high: readonly (number | null | undefined)[]
  }
}

export interface Drawing {
  readonly x: readonly number[]
  readonly lines: readonly Line[]
}

export interface PlotOptions {
  readonly title: string
  /** How values along the axes read, and in the table. */
  readonly xText: (value: number) => string
  readonly yText: (value: number) => string
  readonly xName: string
  /** Both axes logarithmic. */
  readonly log?: boolean
  /** x is seconds since 1970. */
  readonly time?: boolean
  /** Values are single points, joined by straight lines; otherwise steps. */
  readonly points?: boolean
  /** A value stands for the time before its x; otherwise for what follows it. */
  readonly before?: boolean
}
