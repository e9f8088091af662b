/** What becomes of the packets: each that comes in has one fate. docs/tunnel.md explains them. */

export const COUNTERS = [
  // Fates of what comes in at the inner side.
  'encapsulated',
  'inner_answered',
  'inner_ignored',
  'inner_malformed',
  'no_network',
  'too_big',
  'unresolved',
  // Fates of what comes in at the outer side.
  'decapsulated',
  'outer_answered',
  'outer_noted',
  'other_host',
  'other_protocol',
  'bad_ip',
  'fragment',
  'bad_udp',
  'bad_checksum',
  'no_checksum',
  'bad_header',
  'critical_option',
  'unknown_network',
  'unknown_remote',
  'bad_payload',
  'congested',
  // Sent of our own accord, or instead of a packet that had another fate.
  'asked',
  'told_too_big',
  // Had another fate before: there was no room for them in a transmit ring.
  'no_room_outer',
  'no_room_inner',
] as const

/** Of packets that were to be carried, and were not. The other fates are of what is for somebody else, or was for this end itself. */
export const LOST: readonly Counter[] = [
  'inner_malformed',
  'too_big',
  'unresolved',
  'bad_ip',
  'fragment',
  'bad_udp',
  'bad_checksum',
  'no_checksum',
  'bad_header',
  'critical_option',
  'bad_payload',
  'congested',
  'no_room_outer',
  'no_room_inner',
]

type Counter = (typeof COUNTERS)[number]

/** Index of each counter. */
export const Fate = Object.fromEntries(COUNTERS.map((name, i) => [name, i])) as Readonly<
  Record<Counter, number>
>
