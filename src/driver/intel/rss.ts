import type { RegisterFile } from './register-file.ts'
import type { Register } from './register.ts'

/** Entries of the redirection table: the low 7 bits of the hash choose one. */
const TABLE_ENTRIES = 128

/**
 * The Toeplitz hash's key, which Microsoft published with test vectors for it ("Verifying the RSS hash calculation").
 * Its 40 bytes are the registers' bytes in order, first byte lowest.
 */
const KEY = Uint8Array.of(
  0x6d,
  0x5a,
  0x56,
  0xda,
  0x25,
  0x5b,
  0x0e,
  0xc2,
  0x41,
  0x67,
  0x25,
  0x3d,
  0x43,
  0xa3,
  0x8f,
  0xb0,
  0xd0,
  0xca,
  0x2b,
  0xcb,
  0xae,
  0x7b,
  0x30,
  0xb4,
  0x77,
  0xcb,
  0x2d,
  0xa3,
  0x80,
  0x30,
  0xf2,
  0x0c,
  0x6a,
  0x42,
  0xb7,
  0x3b,
  0xbe,
  0xac,
  0x01,
  0xfa,
)

export interface RssTable {
  readonly RSSRK: Register
  readonly RETA: Register
  readonly RXCSUM: Register<'PCSD'>
}

/**
 * Key and redirection table of receive side scaling (82599 §7.1.2.8), for queues 0 to `queues` - 1. What is hashed, and that it
 * is, stands in a register that each family of cards has in its own way.
 */
export function writeRssTables(regs: RegisterFile, { RSSRK, RETA, RXCSUM }: RssTable, queues: number): void {
  const key = new DataView(KEY.buffer)
  for (let i = 0; i < RSSRK.count; i++) regs.write(RSSRK, key.getUint32(i * 4, true), i)

  // Four entries to a register, one byte each, in turn.
  for (let i = 0; i < TABLE_ENTRIES / 4; i++) {
    let word = 0
    for (let j = 0; j < 4; j++) word |= ((i * 4 + j) % queues) << (8 * j)
    regs.write(RETA, word >>> 0, i)
  }

  // The hash and the packet checksum share a descriptor field (§8.2.3.7.5).
  regs.modify(RXCSUM, { set: RXCSUM.fields.PCSD.mask })
}
