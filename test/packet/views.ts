/** Every view there is, and how its fields are found: by what its class declares, so that none is forgotten. */
import { ArpPacket } from '../../src/packet/arp.ts'
import { EthernetFrame } from '../../src/packet/ethernet.ts'
import { IcmpMessage } from '../../src/packet/icmp.ts'
import { Ipv4Packet } from '../../src/packet/ipv4.ts'
import { Ipv6Packet } from '../../src/packet/ipv6.ts'
import { TcpSegment } from '../../src/packet/tcp.ts'
import { UdpDatagram } from '../../src/packet/udp.ts'
import type { View } from '../../src/packet/view.ts'
import { VlanTag } from '../../src/packet/vlan.ts'

export interface AnyView extends View {
  wrap(u8: Uint8Array, offset: number, length: number): boolean
  create?(u8: Uint8Array, offset: number, length: number): boolean
}

export interface Kind {
  readonly name: string
  readonly make: () => AnyView
  readonly headerBytes: number
  /** Fields that are booleans, and the values that others can hold. */
  readonly booleans?: readonly string[]
  readonly most: Readonly<Record<string, number>>
  /** Fields that are bytes: names as in `setSource`, and how many they have. */
  readonly addresses?: readonly string[]
  readonly addressBytes?: number
  /** Fields in units larger than one. */
  readonly units?: Readonly<Record<string, number>>
}

/** Signed ones have all 32 bits. */
export const I32 = 2 ** 31 - 1
const U16 = 0xffff

export const KINDS: readonly Kind[] = [
  {
    name: 'EthernetFrame',
    make: () => new EthernetFrame(),
    headerBytes: 14,
    most: { type: U16 },
    addresses: ['Source', 'Destination'],
    addressBytes: 6,
  },
  {
    name: 'VlanTag',
    make: () => new VlanTag(),
    headerBytes: 4,
    booleans: ['dropEligible'],
    most: { id: 0xfff, priority: 7, type: U16 },
  },
  {
    name: 'ArpPacket',
    make: () => new ArpPacket(),
    headerBytes: 28,
    most: { operation: U16, senderIp: I32, targetIp: I32 },
    addresses: ['SenderMac', 'TargetMac'],
    addressBytes: 6,
  },
  {
    name: 'Ipv4Packet',
    make: () => new Ipv4Packet(),
    headerBytes: 20,
    booleans: ['dontFragment', 'moreFragments'],
    units: { fragmentOffset: 8 },
    most: {
      trafficClass: 255,
      identification: U16,
      fragmentOffset: 0x1fff * 8,
      timeToLive: 255,
      protocol: 255,
      checksum: U16,
      source: I32,
      destination: I32,
    },
  },
  {
    name: 'Ipv6Packet',
    make: () => new Ipv6Packet(),
    headerBytes: 40,
    most: { trafficClass: 255, flowLabel: 0xfffff, nextHeader: 255, hopLimit: 255 },
    addresses: ['Source', 'Destination'],
    addressBytes: 16,
  },
  {
    name: 'UdpDatagram',
    make: () => new UdpDatagram(),
    headerBytes: 8,
    most: { sourcePort: U16, destinationPort: U16, checksum: U16 },
  },
  {
    name: 'TcpSegment',
    make: () => new TcpSegment(),
    headerBytes: 20,
    most: {
      sourcePort: U16,
      destinationPort: U16,
      sequence: I32,
      acknowledgement: I32,
      flags: 255,
      window: U16,
      urgentPointer: U16,
      checksum: U16,
    },
  },
  {
    name: 'IcmpMessage',
    make: () => new IcmpMessage(),
    headerBytes: 8,
    most: { type: 255, code: 255, checksum: U16, identifier: U16, sequence: U16 },
  },
]

function accessors(view: AnyView): [string, PropertyDescriptor][] {
  const own = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(view) as object)
  return Object.entries(own).filter(([, { get }]) => get !== undefined)
}

/** Everything that can be asked of a view. */
export function read(view: AnyView): Record<string, unknown> {
  const names = accessors(view).map(([name]) => name)
  return Object.fromEntries(names.map((name) => [name, Reflect.get(view, name)]))
}

/** Names of the fields that can be set. */
export function settable(view: AnyView): string[] {
  return accessors(view)
    .filter(([, { set }]) => set !== undefined)
    .map(([name]) => name)
}

/** Calls `copyX`, `setX` or `XIs` of a view, whose names its kind tells. */
export function callAddress(view: AnyView, method: string, bytes: Uint8Array, at: number): unknown {
  const call = Reflect.get(view, method) as (bytes: Uint8Array, at: number) => unknown
  return call.call(view, bytes, at)
}
