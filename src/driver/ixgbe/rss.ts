import type { RegisterFile } from '../intel/register-file.ts'
import { put } from '../intel/register.ts'
import { REG } from './registers.ts'

/** MRQC.MRQE: RSS, no virtualisation, no traffic classes (82599 §8.2.3.7.12). */
const RSS_ONLY = 0b0001
/** The redirection table leads to queues 0 to 15 (82599 §7.1.2.8.1). */
export const MAX_RSS_QUEUES = 16
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

/**
 * Spreads packets over queues 0 to `queues` - 1 by a hash of addresses and ports, so that a flow stays on one queue
 * (receive side scaling, 82599 §7.1.2.8). Packets that are not IP go to queue 0. Reception must be off.
 */
export function initRss(regs: RegisterFile, queues: number): void {
  const key = new DataView(KEY.buffer)
  for (let i = 0; i < REG.RSSRK.count; i++) regs.write(REG.RSSRK, key.getUint32(i * 4, true), i)

  // Four entries to a register, one byte each, in turn.
  for (let i = 0; i < TABLE_ENTRIES / 4; i++) {
    let word = 0
    for (let j = 0; j < 4; j++) word |= ((i * 4 + j) % queues) << (8 * j)
    regs.write(REG.RETA, word >>> 0, i)
  }

  // The hash and the packet checksum share a descriptor field (§8.2.3.7.5).
  regs.modify(REG.RXCSUM, { set: REG.RXCSUM.fields.PCSD.mask })
  const { MRQE, RSS_IPV4, RSS_TCP_IPV4, RSS_UDP_IPV4, RSS_IPV6, RSS_TCP_IPV6, RSS_UDP_IPV6 } = REG.MRQC.fields
  regs.write(
    REG.MRQC,
    put(MRQE, RSS_ONLY) |
      RSS_IPV4.mask |
      RSS_TCP_IPV4.mask |
      RSS_UDP_IPV4.mask |
      RSS_IPV6.mask |
      RSS_TCP_IPV6.mask |
      RSS_UDP_IPV6.mask,
  )
}
