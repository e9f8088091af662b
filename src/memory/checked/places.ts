/** Places in an app, as numbers: one for each line that has called. */
import { placeIn, placeInWasm } from '../../stack-place.ts'

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
    // Rings don't call: what is in WebAssembly and does is the app's.
    const inWasm = stack.split('\n').find((line) => placeInWasm(line) !== null)
    const name = inWasm === undefined ? placeIn(stack, this.isOurs) : placeInWasm(inWasm)
    return name === null ? -1 : this.numberOf(name)
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
