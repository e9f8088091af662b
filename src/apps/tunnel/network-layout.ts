/** Where the loops in WebAssembly (wasm/) find what they know of a network, in bytes from its place in a table. Also read by the AssemblyScript compiler. */

/** The outer headers, ready but for what differs from packet to packet; zeros behind them. */
export const HEADER = 0
/** The headers of packets that come. */
export const WANTED = 80
/** fou: the Ethernet header of what comes out, of IPv4. Behind the host's address is ours. */
export const FRAME = 160
/** Which of the first bytes that are carried are at each place of the 16 that they share with the end of the headers; beyond 15: none. */
export const PLACES = 176
/** All that follow: 32 bits. Bytes of a frame that fits, without the tag that is taken off. */
export const LONGEST = 192
/** That less the bytes of the shortest with ports of IPv4. */
export const SPAN = 216
/** Sums as words lie in packets: of the IPv4 header; of UDP's pseudo header; of that with what is between UDP and the inner packet. */
export const IP_SUM = 196
export const PSEUDO_SUM = 200
export const SENT_SUM = 204
/** Of frames at the inner side, as it lies there; 0: none. */
export const TAG = 208
/** Not 0: the next hop is known. */
export const READY = 212
/** The first two bytes of IP, and the ports of UDP with as much of ours as is the same in all. */
export const FIRST_OF_IP = 220
export const PORTS = 224
export const NETWORK_BYTES = 240

/** Networks that have a place in the table; those beyond take the way in TypeScript. */
export const MOST_NETWORKS = 256
/** Entries of the table that leads to a network by VLAN, and of that by a number of this many bits out of a packet that comes. */
export const SLOTS = 4096
