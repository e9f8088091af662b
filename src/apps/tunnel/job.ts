/** What a tunnel is asked for, and what it asks of each worker. */
import type { FilterProgram } from '../../packet/filter/program.ts'

/** What is around the packets of the inner side: VXLAN (RFC 7348), Geneve (RFC 8926), or IP in UDP without more (Linux: fou). */
export type Encapsulation = 'vxlan' | 'geneve' | 'fou'

/** Frames of the inner side that go to one remote end, and come from there. */
export interface Network {
  /** Those with this VLAN tag, which stays at this end; null: those that no other network takes, as they are. */
  readonly vlan: number | null
  /** VXLAN's and Geneve's network identifier; 0 for fou, which has none. */
  readonly vni: number
  /** IP address of the remote end: 4 or 16 bytes. */
  readonly remote: Uint8Array
  /** Index of the host that packets to it go through, in TunnelOptions.hops. */
  readonly hop: number
}

export interface TunnelOptions {
  readonly encapsulation: Encapsulation
  /** Our own address outside: 4 or 16 bytes, as all addresses outside. */
  readonly local: Uint8Array
  /** MAC address that goes with it. */
  readonly mac: Uint8Array
  /** VLAN of everything outside, null: untagged. */
  readonly vlan: number | null
  readonly networks: readonly Network[]
  /** Hosts on the outer link whose MAC addresses are needed: the remote ends, or the gateway. */
  readonly hops: readonly Uint8Array[]
  /** UDP port at both ends; for fou that of IPv4 packets. */
  readonly port: number
  /** fou: UDP port of IPv6 packets at both ends; null: there are none. */
  readonly port6: number | null
  /** Time to live of the outer packets, or hop limit. */
  readonly ttl: number
  /** The outer packets' DSCP, 0 to 63; null: the inner packets'. */
  readonly dscp: number | null
  /** Outer packets have a UDP checksum. Over IPv6, those without are dropped then (RFC 6935). */
  readonly udpChecksum: boolean
  /** fou: MAC address of this end on the inner side. */
  readonly innerMac: Uint8Array
  /** Frames that don't match, as they are at the inner side, are not carried, in either direction; null: all are. */
  readonly filter: FilterProgram | null
}

/** The same for all workers of a run. */
export interface TunnelJob extends TunnelOptions {
  /** Largest packet of the outer link, bytes after the Ethernet header (and the VLAN tag). */
  readonly mtu: number
  /** See Underlay. */
  readonly underlay: SharedArrayBuffer
}

/** Bytes of an outer packet's headers, by parts. */
export interface Layout {
  /** Ethernet, with VLAN tag. */
  readonly ethernet: number
  readonly ip: number
  /** Behind UDP's. */
  readonly tunnel: number
  /** All of them, with UDP's. */
  readonly all: number
  /** What the inner side's Ethernet header takes: 0 if it is not carried. */
  readonly inner: number
}

export function layoutOf({ encapsulation, local, vlan }: TunnelOptions): Layout {
  const ethernet = vlan === null ? 14 : 18
  const ip = local.length === 4 ? 20 : 40
  const tunnel = encapsulation === 'fou' ? 0 : 8
  return { ethernet, ip, tunnel, all: ethernet + ip + 8 + tunnel, inner: encapsulation === 'fou' ? 0 : 14 }
}

/** Largest IP packet of the inner side that fits an outer packet of `mtu` bytes. */
export function innerMtu(options: TunnelOptions, mtu: number): number {
  const { ethernet, all, inner } = layoutOf(options)
  return mtu - (all - ethernet) - inner
}
