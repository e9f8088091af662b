import { EVENTS_DESCRIPTOR, EVENTS_DISABLE } from './queue-words.ts'

/**
 * Whether the other side wants to be told that `count` descriptors have been made available, the last one before place `next` of round
 * `wrap` (virtio 1.2 §2.8.10). `event` is its event suppression structure: flags above off_wrap.
 */
export function wanted(event: number, next: number, wrap: number, count: number, entries: number): boolean {
  const flags = event >>> 16
  if (flags !== EVENTS_DESCRIPTOR) return flags !== EVENTS_DISABLE
  let place = event & 0x7fff
  if (((event >>> 15) & 1) !== wrap) place -= entries
  return ((next - place - 1) & 0xffff) < count
}

export type Wanted = typeof wanted
