/** What becomes of the packets: each that comes in has one fate. docs/tunnel.md explains them. */

/** Whether it is of packets that were to be carried, and were not. The others are of what is for somebody else, or was for this end itself. */
const LOSES = {
  // Fates of what comes in at the inner side.
  encapsulated: false,
  inner_answered: false,
  inner_ignored: false,
  inner_malformed: true,
  no_network: false,
  too_big: true,
  unresolved: true,
  // Fates of what comes in at the outer side.
  decapsulated: false,
  outer_answered: false,
  outer_noted: false,
  other_host: false,
  other_protocol: false,
  bad_ip: true,
  fragment: true,
  bad_udp: true,
  bad_checksum: true,
  no_checksum: true,
  bad_header: true,
  critical_option: true,
  unknown_network: false,
  unknown_remote: false,
  bad_payload: true,
  congested: true,
  // Sent of our own accord, or instead of a packet that had another fate.
  asked: false,
  told_too_big: false,
  // Had another fate before: there was no room for them in a transmit ring.
  no_room_outer: true,
  no_room_inner: true,
} as const

type Counter = keyof typeof LOSES

export const COUNTERS = Object.keys(LOSES) as readonly Counter[]

/** Those of packets that are lost. */
export const LOST = COUNTERS.filter((name) => LOSES[name])

/** Index of each counter. */
export const Fate = Object.fromEntries(COUNTERS.map((name, i) => [name, i])) as Readonly<
  Record<Counter, number>
>
