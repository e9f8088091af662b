/** What the driver does against virtio 1.2. */
export class Breaches {
  readonly found: string[] = []

  check(holds: boolean, rule: string): void {
    if (!holds && !this.found.includes(rule)) this.found.push(rule)
  }
}
