/** How VXLAN's source port tells flows apart (RFC 7348 §5). Also read by the AssemblyScript compiler. */

/** The first of the ports that are not for anybody's service (RFC 6335 §6). */
export const FIRST_ENTROPY_PORT = 0xc000
/** Spreads numbers over all 32 bits: 2^32 by the golden ratio, 0x9e3779b9. */
export const GOLDEN = -1640531527
/** So that what is left are the bits of a port that FIRST_ENTROPY_PORT leaves free. */
export const ENTROPY_SHIFT = 18
