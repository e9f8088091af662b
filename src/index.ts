/** The library: what an app of your own imports from 'ixy-ts'. docs/api.md is made of this file: a line comment is a heading there. */

// Apps
export type { App, AppPort, AppSteps, Plan, PlanContext, WasmStep, WorkerContext } from './engine/app.ts'
export { run } from './library/run.ts'
export type { RunSettings } from './library/run.ts'
export type { DeviceCounters, DeviceInfo, IntervalEvent, RunObserver, RunResult } from './engine/types.ts'

// Devices in a thread of one's own
export { open } from './library/open.ts'
export type { OpenDevices, OpenSettings } from './library/open.ts'

// Queues and packet buffers
export type { RxQueue, TxQueue } from './driver/device.ts'
export type { PacketMemory } from './memory/packets.ts'
export { OffloadFlag } from './memory/offloads.ts'
export type { OffloadUse, PacketOffloads } from './memory/offloads.ts'
export { TxBatch } from './driver/tx-batch.ts'

// Views of packets
export type { PacketBytes, View } from './packet/view.ts'
export { EthernetFrame, EtherType, MIN_FRAME_BYTES } from './packet/ethernet.ts'
export { VlanTag } from './packet/vlan.ts'
export { ArpOperation, ArpPacket } from './packet/arp.ts'
export { IpProtocol, Ipv4Packet } from './packet/ipv4.ts'
export { IPV6_BYTES, Ipv6Packet } from './packet/ipv6.ts'
export { UdpDatagram } from './packet/udp.ts'
export { TcpFlag, TcpSegment } from './packet/tcp.ts'
export { IcmpMessage, IcmpType, UnreachableCode } from './packet/icmp.ts'

// Addresses
export { BROADCAST_MAC, formatMac, MAC_BYTES, parseMac } from './packet/mac.ts'
export { formatIpv4, isIpv4Host, parseIpv4, parseIpv4Prefix } from './packet/ipv4.ts'
export type { Ipv4Prefix } from './packet/ipv4.ts'
export { formatIpv6, parseIpv6 } from './packet/ipv6.ts'

// Checksums
export { internetChecksum, updateChecksum, updateChecksum32 } from './packet/checksum.ts'
export type { IpPacket } from './packet/checksum.ts'

// ARP and ICMP
export { ArpTable } from './packet/arp-table.ts'
export type { ArpMemory, ArpTableOptions } from './packet/arp-table.ts'
export { answerEcho, writeIcmpError } from './packet/icmp.ts'
export type { IcmpMemory } from './packet/icmp.ts'

// Captures
export { CaptureFile, readCapture } from './captures/files.ts'
export type { CaptureRecord } from './captures/files.ts'

// Filters in tcpdump's language
export { compileFilter } from './linux/pcap-library.ts'
export { makeFilter } from './packet/filter/translate.ts'
export { makeSieve } from './apps/sieve.ts'
export type { Sieve } from './apps/sieve.ts'
export type { PacketFilter } from './packet/filter/translate.ts'
export type { FilterInstruction, FilterProgram } from './packet/filter/program.ts'

// Packets as text
export { describePacket, packetFields } from './packet/decode/describe.ts'
export type {
  ArpFields,
  EthernetFields,
  IcmpFields,
  IpFields,
  PacketFields,
  TcpFields,
  UdpFields,
  VlanFields,
} from './packet/decode/fields.ts'

// Errors
export { EXIT_CODES, IxyError, usageError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
