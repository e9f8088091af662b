/** Places in an app, as numbers: one for each line that has called. */

/** Of the frames of a stack, innermost first: `file:line:column`. */
const FRAME = /(?:^|[ (])((?:file:\/\/)?\/[^():]+):(\d+):(\d+)\)?$/

/** Deep enough for an app with layers of its own. */
const DEPTH = 40

export class Places {
  private readonly numbers = new Map<string, number>()
  private readonly names: string[] = []
  private readonly isOurs: (file: string) => boolean

  /** `isOurs`: tells files of ixy-ts from the app's. */
  constructor(isOurs: (file: string) => boolean) {
    this.isOurs = isOurs
  }

  /** Where the app is now; -1: the call comes from ixy-ts itself. */
  here(): number {
    const before = Error.stackTraceLimit
    Error.stackTraceLimit = DEPTH
    const { stack = '' } = new Error()
    Error.stackTraceLimit = before
    for (const line of stack.split('\n')) {
      const frame = FRAME.exec(line)
      if (frame === null) continue
      const file = frame[1].replace(/^file:\/\//, '')
      if (!this.isOurs(file)) return this.numberOf(`${file}:${frame[2]}:${frame[3]}`)
    }
    return -1
  }

  nameOf(place: number): string | null {
    return place < 0 ? null : this.names[place]
  }

  private numberOf(name: string): number {
    const known = this.numbers.get(name)
    if (known !== undefined) return known
    this.names.push(name)
    this.numbers.set(name, this.names.length - 1)
    return this.names.length - 1
  }
}
