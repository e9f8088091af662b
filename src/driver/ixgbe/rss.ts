import type { RegisterFile } from '../intel/register-file.ts'
import { put } from '../intel/register.ts'
import { writeRssTables } from '../intel/rss.ts'
import { REG } from './registers.ts'

/** MRQC.MRQE: RSS, no virtualisation, no traffic classes (82599 §8.2.3.7.12). */
const RSS_ONLY = 0b0001
/** The redirection table leads to queues 0 to 15 (82599 §7.1.2.8.1). */
export const MAX_RSS_QUEUES = 16
/**
 * Spreads packets over queues 0 to `queues` - 1 by a hash of addresses and ports, so that a flow stays on one queue
 * (receive side scaling, 82599 §7.1.2.8). Packets that are not IP go to queue 0. Reception must be off.
 */
export function initRss(regs: RegisterFile, queues: number): void {
  writeRssTables(regs, REG, queues)
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
