/** What the driver did against the datasheet, each rule once with a count. */

export interface Breach {
  /** `RDT = RDH …: one descriptor must stay free (82599 §7.1.9)` */
  readonly rule: string
  readonly count: number
}

/** Beyond this many different rules nothing new is recorded: a hostile driver must not fill the memory. */
const MAX_RULES = 200

/**
 * The registry of breaches. `enabled` false makes `report` do nothing, so callers don't ask.
 * Checks that would cost something per packet belong behind `enabled`.
 */
export class Strict {
  readonly enabled: boolean
  private readonly counts = new Map<string, number>()

  constructor(enabled: boolean) {
    this.enabled = enabled
  }

  /** `section` of the datasheet, without the §. The text must not contain values that change from time to time. */
  report(section: string, text: string): void {
    if (!this.enabled) return
    const rule = `${text} (82599 §${section})`
    const count = this.counts.get(rule)
    if (count === undefined && this.counts.size >= MAX_RULES) return
    this.counts.set(rule, (count ?? 0) + 1)
  }

  /** In the order of their first occurrence. */
  breaches(): Breach[] {
    return Array.from(this.counts, ([rule, count]) => ({ rule, count }))
  }
}
