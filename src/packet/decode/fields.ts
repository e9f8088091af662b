/**
 * What a packet says, as plain data for JSON. Only what is there: of a packet that was cut, or that is damaged, the fields up to that
 * place, and where that is. Numbers are as in the headers, lengths in bytes, addresses as text.
 */
export interface PacketFields {
  /** On the wire, without FCS. */
  readonly length: number
  /** Bytes that are known, if those aren't all. */
  captured?: number
  ethernet?: EthernetFields
  /** The outer one first. */
  vlan?: VlanFields[]
  arp?: ArpFields
  ip?: IpFields
  tcp?: TcpFields
  udp?: UdpFields
  icmp?: IcmpFields
  /** The packet in this one: IP in IP. */
  inner?: PacketFields
  /** The header that wasn't captured to its end: `ether`, `vlan`, `arp`, `ip`, `ip6`, `tcp`, `udp`, `icmp`, `icmp6`. */
  cut?: string
  /** What can't be, in the words of tcpdump: `bad-hlen 8`. */
  fault?: string
}

/** The Ethernet header. */
export interface EthernetFields {
  readonly source: string
  readonly destination: string
  /** Of the payload, behind any tags; below 0x600 a length. */
  readonly type: number
}

/** A VLAN tag (IEEE 802.1Q). */
export interface VlanFields {
  readonly id: number
  readonly priority: number
  readonly dropEligible: boolean
}

/** An ARP packet; `operation` 1 asks, 2 answers. */
export interface ArpFields {
  readonly operation: number
  readonly senderMac: string
  readonly senderIp: string
  readonly targetMac: string
  readonly targetIp: string
}

/** An IPv4 or IPv6 header. */
export interface IpFields {
  readonly version: 4 | 6
  readonly source: string
  readonly destination: string
  /** Of the payload, behind any extension headers. */
  protocol: number
  /** Of IPv6: hop limit. */
  readonly timeToLive: number
  /** DSCP and ECN, 8 bits. */
  readonly trafficClass: number
  /** With its header. */
  readonly length: number
  /** With options, or extension headers. */
  headerLength: number
  /** Bytes that the header says there are, and that weren't on the wire. */
  missing?: number
  identification?: number
  dontFragment?: boolean
  /** Where in the whole packet this one belongs; there if it is a fragment. */
  fragment?: { readonly offset: number; readonly more: boolean }
  /** Of IPv6: extension headers, in the words of tcpdump. */
  extensions?: string[]
}

/** A TCP header. What is optional is missing where the header was cut. */
export interface TcpFields {
  readonly sourcePort: number
  readonly destinationPort: number
  /** All letters that are set of `FSRP.UEW`, the point being ACK. */
  flags?: string
  sequence?: number
  acknowledgement?: number
  window?: number
  urgentPointer?: number
  /** In the words of tcpdump: `mss 1460`. */
  options?: string[]
  /** Of the payload. */
  length?: number
}

/** A UDP header. */
export interface UdpFields {
  readonly sourcePort: number
  readonly destinationPort: number
  /** Of the payload, as the header says. */
  length?: number
}

/** An ICMP or ICMPv6 message. */
export interface IcmpFields {
  readonly type: number
  readonly code: number
  /** In the words of tcpdump: `echo request, id 1, seq 2`. */
  text?: string
  /** Of the message. */
  readonly length: number
}
