/** The outer side as a host: what comes for this end itself. */
import type { PacketMemory } from '../../memory/packets.ts'
import type { TunnelJob } from './job.ts'
import type { Underlay } from './underlay.ts'

export interface Control {
  /** Takes note of packet `id`, which leave() said to be CONTROL. Returns its fate; it is still the caller's unless that is `outer_answered`. */
  handle(id: number): number
  /** Asks for the MAC address of a next hop. */
  ask(hop: number): void
}

export interface ControlOptions {
  readonly memory: PacketMemory
  readonly job: TunnelJob
  readonly underlay: Underlay
  /** Takes packet `id`, which is ready to be transmitted. */
  readonly send: (id: number) => void
  /** An empty packet of `length` zero bytes, at least 60, from this end to `destination`, with the VLAN tag if there is one; -1: no buffer is free. */
  readonly compose: (length: number, type: number, destination: Uint8Array) => number
}

/** Paths that can't carry this much aren't believed in: such errors are forged (IPv4; what Linux has). */
const LEAST_MTU_IPV4 = 552
/** Every link carries it (RFC 8200 §5). */
const LEAST_MTU_IPV6 = 1280

/**
 * Somebody on the way says that packets of `mtu` bytes (0: it doesn't say) are the most, and quotes `quoted` bytes at `at` of one
 * of ours. True: it is one of ours.
 */
export function noteMtu(
  { job, underlay, memory: { u8 } }: ControlOptions,
  at: number,
  quoted: number,
  mtu: number,
): boolean {
  const { local, networks, port, port6 } = job
  const ipv4 = local.length === 4
  const headerBytes = ipv4 ? (u8[at] & 0xf) << 2 : 40
  const addresses = at + (ipv4 ? 12 : 8)
  if (quoted < headerBytes + 8 || u8[at] >> 4 !== (ipv4 ? 4 : 6) || u8[at + (ipv4 ? 9 : 6)] !== 17)
    return false
  const to = (u8[at + headerBytes + 2] << 8) | u8[at + headerBytes + 3]
  if (to !== port && to !== port6) return false
  if (!local.every((byte, i) => u8[addresses + i] === byte)) return false
  let ours = false
  networks.forEach(({ remote }, network) => {
    if (!remote.every((byte, i) => u8[addresses + local.length + i] === byte)) return
    ours = true
    underlay.lowerMtu(network, Math.max(mtu, ipv4 ? LEAST_MTU_IPV4 : LEAST_MTU_IPV6))
  })
  return ours
}
