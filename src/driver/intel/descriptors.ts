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
 */
export const DESCRIPTOR_BYTES = 16

/** Descriptor done: the card has finished with it. Receive: word 2 (82599 §7.1.6.2). Transmit: word 3 (§7.2.3.2.4). */
export const RX_DD = 1 << 0
/** End of packet: the packet ends in this descriptor's buffer. */
export const RX_EOP = 1 << 1
export const TX_DD = 1 << 0

/** Word 2 of a transmit data descriptor (82599 §7.2.3.2.4). Bits 15:0 hold the length of the buffer. */
export const TX_DTYP_DATA = 0x3 << 20
export const TX_EOP = 1 << 24
/** Insert the frame check sequence. */
export const TX_IFCS = 1 << 25
/** Report status: write back this descriptor when done. */
export const TX_RS = 1 << 27
/** Descriptor extension: advanced format. */
export const TX_DEXT = 1 << 29
/** Word 3: total payload length in bits 31:14. */
export const TX_PAYLEN_SHIFT = 14

/** Shortest packet the card sends, bytes (82599 §7.2.3.2.4, DTALEN). The MAC fills it up to Ethernet's 60 (§8.2.3.22.8). */
export const TX_SHORTEST = 17
