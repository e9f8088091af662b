/** MAC control frames (IEEE 802.3 §31). */

/** EtherType. */
export const MAC_CONTROL = 0x8808
/** Opcodes. */
export const PAUSE = 0x0001
export const PRIORITY_PAUSE = 0x0101
/** Where PAUSE goes. */
export const PAUSE_ADDRESS: readonly number[] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x01]
/** PAUSE counts in times of 512 bits (IEEE 802.3 §31B.2); at 10 Gbit/s, milliseconds. */
export const QUANTUM_MS = 512 / 10e6
