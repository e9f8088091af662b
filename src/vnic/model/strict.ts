/** What the driver did against the datasheet, each rule once with a count. */

export interface Breach {
  /** `reserved bits of EIMC written with ones: 0x80000000 (82599 §8.2.3.5.4)` */
  readonly rule: string
  readonly count: number
}

interface Rule {
  readonly section: string
  readonly text: string
  count: number
  bits: number
}

/** Beyond this many different rules nothing new is recorded: a hostile driver must not fill the memory. */
const MAX_RULES = 200

/**
 * The registry of breaches. `enabled` false makes `report` do nothing, so callers don't ask.
 * Checks that would cost something per packet belong behind `enabled`.
 */
export class Strict {
  readonly enabled: boolean
  private readonly rules = new Map<string, Rule>()

  constructor(enabled: boolean) {
    this.enabled = enabled
  }

  /**
   * `section` of the datasheet, without the §. The text must not contain values that change from time to time. `bits` are
   * those of a register that were wrong: shown behind the text, with those of the rule's other breaches.
   */
  report(section: string, text: string, bits = 0): void {
    if (!this.enabled) return
    const key = `${section} ${text}`
    const rule = this.rules.get(key) ?? { section, text, count: 0, bits: 0 }
    if (rule.count === 0) {
      if (this.rules.size >= MAX_RULES) return
      this.rules.set(key, rule)
    }
    rule.count++
    rule.bits |= bits
  }

  /** In the order of their first occurrence. */
  breaches(): Breach[] {
    return Array.from(this.rules.values(), ({ section, text, count, bits }) => {
      const which = bits === 0 ? '' : `: 0x${(bits >>> 0).toString(16)}`
      return { rule: `${text}${which} (82599 §${section})`, count }
    })
  }
}
