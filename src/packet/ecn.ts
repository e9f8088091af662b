/**
 * Explicit congestion notification across a tunnel (RFC 6040): the two low bits of IPv4's type of service and IPv6's traffic
 * class.
 */

/** What the two bits say. */
export const Ecn = { NOT_ECT: 0, ECT_1: 1, ECT_0: 2, CE: 3 } as const

export const ECN_MASK = 3
/** In the table: the packet is to be dropped. */
export const ECN_DROP = 4

const { NOT_ECT, ECT_0, ECT_1, CE } = Ecn

/**
 * What the inner packet's bits become at the end of the tunnel (RFC 6040 §4.2, figure 4): `[inner << 2 | outer]`. A congested
 * router's mark on a packet whose sender doesn't know of such marks can only be obeyed by dropping it.
 */
// prettier-ignore
export const ECN_AFTER_TUNNEL: Uint8Array = Uint8Array.of(
  // outer: Not-ECT  ECT(1)   ECT(0)   CE
  NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP, // inner Not-ECT
  ECT_1, ECT_1, ECT_1, CE, // inner ECT(1)
  ECT_0, ECT_1, ECT_0, CE, // inner ECT(0)
  CE, CE, CE, CE, // inner CE
)
