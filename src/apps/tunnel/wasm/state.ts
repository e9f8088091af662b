/** AssemblyScript: what both ways are told by JavaScript. Addresses are bytes from the start of the memory that is shared with it. */
import {
  FIRST_OF_IP,
  HEADER,
  IP_SUM,
  LONGEST,
  PORTS,
  PSEUDO_SUM,
  READY,
  SENT_SUM,
  SPAN,
} from '../network-layout'
import { Lanes } from './lanes'
import { Sum, Word } from './words'

/** Of a frame with an IPv4 header and ports. */
export const SHORTEST: u32 = 14 + 20 + 4

export let packetsAt: usize = 0
/** From one packet buffer to the next. */
export let bufferBytes: u32 = 0
/** Of the outer headers: all, Ethernet's, IP's. */
export let headerBytes: u32 = 0
export let ethernetBytes: u32 = 0
export let ipBytes: u32 = 0
export let ipv4: bool = false
/** What is taken off inner frames: their Ethernet headers, or nothing. */
export let bareBytes: u32 = 0
/** fou: the MAC address of this end, and behind it two zeros. */
export let innerMac: u64 = 0
/** The ports of UDP, the other end's, as they lie in packets: for fou that of IPv4; of IPv6, 0 if there is none. */
export let port: u32 = 0
export let port6: u32 = 0
/** Of the inner traffic class, what the outer one takes over: from bit 8 on. */
export let classMask: u32 = 0
export let checksums: bool = false
/** Which bits of the headers of packets that come must be so: by 16 bytes, as all headers. */
export let caredAt: usize = 0
/** See ECN_AFTER_TUNNEL. */
export let ecnAt: usize = 0
/** Tables of 16-bit numbers of networks, plus 1: by VLANs, and by bits of packets that come. */
export let vlansAt: usize = 0
export let slotsAt: usize = 0
export let networksAt: usize = 0
/** Plus 1: that of frames without a tag. */
export let restOfFrames: u32 = 0

/** `ethernet` and the following: bytes of the outer headers. `mac`: where innerMac is; 0: frames are carried whole. */
export function start(
  packets: usize,
  shift: u32,
  ethernet: u32,
  ip: u32,
  all: u32,
  mac: usize,
  ports: u32,
  ports6: u32,
  mask: u32,
  withChecksums: bool,
  cared: usize,
  ecn: usize,
  vlans: usize,
  slots: usize,
  networks: usize,
  rest: u32,
): void {
  Lanes.start()
  packetsAt = packets
  bufferBytes = 1 << shift
  ethernetBytes = ethernet
  ipBytes = ip
  headerBytes = all
  ipv4 = ip === 20
  bareBytes = mac === 0 ? 0 : 14
  innerMac = mac === 0 ? 0 : load<u64>(mac) << 16
  port = Word.swap(ports)
  port6 = Word.swap(ports6)
  classMask = mask << 8
  checksums = withChecksums
  caredAt = cared
  ecnAt = ecn
  vlansAt = vlans
  slotsAt = slots
  networksAt = networks
  restOfFrames = rest
}

/** The headers of `network` are there. `most`: of a frame with them. */
export function fill(network: usize, ipSum: u32, pseudoSum: u32, most: u32, ready: bool): void {
  const behindUdp = ethernetBytes + ipBytes + 8
  const pseudo = Word.swap(Sum.fold(pseudoSum))
  store<u32>(network, Word.swap(Sum.fold(ipSum)), IP_SUM)
  store<u32>(network, pseudo, PSEUDO_SUM)
  store<u32>(network, pseudo + Sum.of(network + HEADER + behindUdp, headerBytes - behindUdp), SENT_SUM)
  store<u32>(network, most - headerBytes + bareBytes, LONGEST)
  store<u32>(network, most - headerBytes + bareBytes - SHORTEST, SPAN)
  store<u32>(network, load<u16>(network + HEADER + ethernetBytes), FIRST_OF_IP)
  store<u32>(network, (port << 16) | 0xc0, PORTS)
  store<u32>(network, ready ? 1 : 0, READY)
}

export class Packet {
  /** Where it begins. */
  @inline
  static at(id: u32, packets: usize, bytes: u32): usize {
    return packets + <usize>id * bytes + 64 + ((id & 7) << 6)
  }
}
