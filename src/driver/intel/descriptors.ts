/**
 * Advanced descriptors: 16 bytes, four 32-bit words, in both rings (82599 §7.1.6, §7.2.3.2).
 * The driver writes the *read* format, the card overwrites it with the *write-back* format.
 *
 *     receive        word 0           word 1           word 2               word 3
 *     read         │ packet address, 64 bit          │ header address, 64 bit (unused: 0)  │
 *     write-back   │ RSS/packet type │ RSS hash       │ error 31:20 status   │ VLAN │ length │
 *
 *     transmit
 *     read         │ buffer address, 64 bit          │ DCMD DTYP │ length   │ PAYLEN   │ STA │
 *     write-back   │ reserved                        │ reserved             │          │ STA │
 *
 * A transmit descriptor may also be a *context* (82599 §7.2.3.2.3), which is no packet: it says what those that ask for offloads
 * look like, until another context takes its place. A queue has two.
 *
 *     context      │ VLAN MACLEN IPLEN │ (IPsec)      │ DCMD DTYP TUCMD      │ MSS L4LEN      IDX │
 */
export const DESCRIPTOR_BYTES = 16

/** Descriptor done: the card has finished with it. Receive: word 2 (82599 §7.1.6.2). Transmit: word 3 (§7.2.3.2.4). */
export const RX_DD = 1 << 0
/** End of packet: the packet ends in this descriptor's buffer. */
export const RX_EOP = 1 << 1
/** The VLAN tag was taken out and is in word 3, if the queue is told to (RXDCTL.VME). */
export const RX_VP = 1 << 3
/** The checksum of TCP, UDP or SCTP was verified, and that of an IPv4 header; the errors found. */
export const RX_L4CS = 1 << 5
export const RX_IPCS = 1 << 6
export const RX_L4E = 1 << 30
export const RX_IPE = 1 << 31
/** Word 0: it is a datagram of UDP. */
export const RX_UDP = 1 << 9
export const TX_DD = 1 << 0

/** Word 2 of a transmit data descriptor (82599 §7.2.3.2.4). Bits 15:0 hold the length of the buffer. */
export const TX_DTYP_DATA = 0x3 << 20
export const TX_EOP = 1 << 24
/** MAC.1588: the card notes when the packet leaves (§7.9). */
export const TX_TSTAMP = 1 << 19
/** Insert the frame check sequence. */
export const TX_IFCS = 1 << 25
/** Report status: write back this descriptor when done. */
export const TX_RS = 1 << 27
/** Descriptor extension: advanced format. */
export const TX_DEXT = 1 << 29
/** Insert the context's VLAN tag. */
export const TX_VLE = 1 << 30
/** Cut the packet as the context says. */
export const TX_TSE = 1 << 31
/** Word 3: the context that counts. */
export const TX_IDX = 1 << 4
/** Insert the checksum of the IP header, and that of TCP or UDP. */
export const TX_IXSM = 1 << 8
export const TX_TXSM = 1 << 9
/** Word 3: total payload length in bits 31:14. */
export const TX_PAYLEN_SHIFT = 14

/** Shortest packet the card sends, bytes (82599 §7.2.3.2.4, DTALEN). The MAC fills it up to Ethernet's 60 (§8.2.3.22.8). */
export const TX_SHORTEST = 17

/** Word 2 of a context descriptor: what it is, and its TUCMD. TCP and UDP are told apart by one bit. */
export const TX_CONTEXT = TX_DEXT | (2 << 20)
export const TX_IPV4 = 1 << 10
export const TX_TCP = 1 << 11
