/** What a receive descriptor says of a packet (82599 §7.1.6.2), as far as the loops of ../wasm/ know it, too. */

/** Status bits: the checksum of UDP, of TCP, UDP or SCTP, of the IP header was verified. */
export const UDPCS = 1 << 4
export const L4CS = 1 << 5
export const IPCS = 1 << 6

/** Packet types. */
export const TYPE_IPV4 = 1 << 4
export const TYPE_IPV6 = 1 << 6
export const TYPE_TCP = 1 << 8
export const TYPE_UDP = 1 << 9
