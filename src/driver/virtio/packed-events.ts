import { EVENTS_DESCRIPTOR, EVENTS_DISABLE } from './queue-words.ts'

/**
 * Whether the other side wants to be told that descriptors up to place `next` of round `wrap`, that one excluded, are available (virtio
 * 1.2 §2.8.10). `event` is its event suppression structure: flags above off_wrap.
 *
 * It is to be told when the descriptor that it names has been made available. We also ring if that was before: QEMU's card,
 * after it had to wait for its backend, takes what it finds and goes to sleep without naming another one, so nobody would ever wake
 * it. A device that is awake has said so by EVENTS_DISABLE.
 */
export function wanted(event: number, next: number, wrap: number, entries: number): boolean {
  const flags = event >>> 16
  if (flags !== EVENTS_DESCRIPTOR) return flags !== EVENTS_DISABLE
  const named = (event & 0x7fff) + ((event >>> 15) & 1) * entries
  // Two rounds make a circle: half of it is yet to come.
  return ((named - next - wrap * entries) & (2 * entries - 1)) >= entries
}

export type Wanted = typeof wanted
