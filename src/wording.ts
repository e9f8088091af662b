/** Numbers and names as they are written, for people and in JSON. */

/** tx_ring_full → tx ring full, inDropped → in dropped */
export function words(name: string): string {
  return name.replaceAll('_', ' ').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** 1 packet, 2 packets */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** 1234567 → 1,234,567 */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `returned 5, lost 0` */
export function countersText(counters: Readonly<Record<string, number>>): string {
  return Object.entries(counters)
    .map(([name, count]) => `${words(name)} ${grouped(count)}`)
    .join(', ')
}

/** Ten significant digits, for JSON: what is slow keeps as many as what is fast. */
export function digits(value: number): number {
  return Number(value.toPrecision(10))
}
