/** The way of plain packets in WebAssembly (wasm/plain.ts), several times as fast as enter() and leave(), which take all others. */
import type { PacketMemory } from '../../memory/packets.ts'
import { ECN_AFTER_TUNNEL } from '../../packet/ecn.ts'
import { EtherType, HEADER_BYTES as ETHERNET_BYTES } from '../../packet/ethernet.ts'
import { MAC_BYTES } from '../../packet/mac.ts'
import { HEADER_BYTES as UDP_BYTES } from '../../packet/udp.ts'
import type { Headers } from './headers.ts'
import type { Layout, Network, TunnelJob } from './job.ts'
import { FRAME, HEADER, MOST_NETWORKS, NETWORK_BYTES, PLACES, SLOTS, TAG, WANTED } from './network-layout.ts'
import code from './wasm/plain.wasm'

interface Loops {
  /** See wasm/state.ts. */
  start(
    packets: number,
    shift: number,
    ethernet: number,
    ip: number,
    all: number,
    mac: number,
    port: number,
    port6: number,
    mask: number,
    withChecksums: boolean,
    cared: number,
    ecn: number,
    vlans: number,
    slots: number,
    networks: number,
    rest: number,
  ): void
  change(network: number, ipSum: number, pseudoSum: number, longest: number, ready: boolean): void
  enter(batch: number, count: number): number
  leave(batch: number, count: number): number
}

export interface PlainPath {
  /** Encapsulates `batch[from … to - 1]` up to the first that isn't plain. Returns its place, or `to`. `batch`: of memory.batch(). */
  enter(batch: Int32Array, from: number, to: number): number
  /** Takes the outer headers off likewise. */
  leave(batch: Int32Array, from: number, to: number): number
  /** The headers have changed, or `hosts`: MAC addresses of the hosts at the inner side, by networks. */
  change(headers: Headers, hosts: Uint8Array): void
}

/** Nothing is plain. */
const NONE: PlainPath = {
  enter: (_, from) => from,
  leave: (_, from) => from,
  change: () => undefined,
}

/** If packets are in a WebAssembly memory. */
export function makePlainPath(memory: PacketMemory, job: TunnelJob, { layout }: Headers): PlainPath {
  const { space } = memory
  if (space === null) return NONE
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
    env: { memory: space.memory },
  })
  const loops = exports as unknown as Loops
  const bytes = (length: number): Uint8Array => new Uint8Array(space.buffer, space.take(length), length)
  const halves = (length: number): Uint16Array =>
    new Uint16Array(space.buffer, space.take(2 * length), length)
  const networks = job.networks.slice(0, MOST_NETWORKS)
  const table = bytes(networks.length * NETWORK_BYTES)
  const place = (network: number, field: number): number => network * NETWORK_BYTES + field
  const [vlans, slots] = [halves(SLOTS), halves(SLOTS)]
  networks.forEach((network, i) => {
    const { vlan } = network
    if (vlan !== null) vlans[vlan] = i + 1
    // The first keeps it.
    slots[slotOf(network, job)] ||= i + 1
    const tag = vlan === null ? [] : [EtherType.VLAN >> 8, EtherType.VLAN & 0xff, vlan >> 8, vlan & 0xff]
    table.set(tag, place(i, TAG))
    for (let at = 0; at < 16; at++) table[place(i, PLACES) + at] = at - (layout.all & 15)
  })
  const cared = bytes(WANTED - HEADER)
  cared.set(caredBits(job, layout))
  const mac = bytes(8)
  mac.set(job.innerMac)
  const ecn = bytes(ECN_AFTER_TUNNEL.length)
  ecn.set(ECN_AFTER_TUNNEL)
  loops.start(
    memory.u8.byteOffset,
    memory.bufferShift,
    layout.ethernet,
    layout.ip,
    layout.all,
    layout.inner === 0 ? mac.byteOffset : 0,
    job.port,
    job.port6 ?? 0,
    job.dscp === null ? 0xff : 3,
    job.udpChecksum,
    cared.byteOffset,
    ecn.byteOffset,
    vlans.byteOffset,
    slots.byteOffset,
    table.byteOffset,
    networks.findIndex(({ vlan }) => vlan === null) + 1,
  )
  return {
    enter: (batch, from, to) => from + loops.enter(batch.byteOffset + from * 4, to - from),
    leave: (batch, from, to) => from + loops.leave(batch.byteOffset + from * 4, to - from),
    change({ u8, stride, ipSums, pseudoSums, longest, ready }, hosts) {
      networks.forEach((_, i) => {
        const header = u8.slice(i * stride, i * stride + layout.all)
        table.set(header, place(i, HEADER))
        table.set(returned(header, job, layout), place(i, WANTED))
        table.set(hosts.subarray(i * MAC_BYTES, (i + 1) * MAC_BYTES), place(i, FRAME))
        table.set(job.innerMac, place(i, FRAME) + MAC_BYTES)
        loops.change(table.byteOffset + place(i, 0), ipSums[i], pseudoSums[i], longest[i], ready[i] !== 0)
      })
    },
  }
}

/** Where packets of `network` that come find it: see networkOf() in wasm/leave.ts. */
function slotOf({ vni, remote }: Network, { encapsulation }: TunnelJob): number {
  const bits = encapsulation === 'fou' ? (remote[remote.length - 2] << 8) | remote[remote.length - 1] : vni
  return bits & (SLOTS - 1)
}

/** The headers of a packet from the other end, of which we know what goes there. */
function returned(header: Uint8Array, { local }: TunnelJob, { ethernet }: Layout): Uint8Array {
  const back = header.slice()
  back.copyWithin(0, MAC_BYTES, 2 * MAC_BYTES)
  const addresses = ethernet + (local.length === 4 ? 12 : 8)
  back.copyWithin(addresses, addresses + local.length, addresses + 2 * local.length)
  back.set(local, addresses + local.length)
  return back
}

/** The bits of these headers that must be so: all but what the other end may choose, and lengths and sums, which are looked at one by one. */
function caredBits({ local, encapsulation, vlan }: TunnelJob, { ethernet, ip, all }: Layout): Uint8Array {
  const bits = new Uint8Array(all).fill(0xff)
  const udp = ethernet + ip
  const tunnel = udp + UDP_BYTES
  // Who has sent it on this link; the priority of its VLAN.
  bits.fill(0, MAC_BYTES, 2 * MAC_BYTES)
  if (vlan !== null) bits[ETHERNET_BYTES] = 0x0f
  if (local.length === 4) {
    // Class, length, identification; not whether it may be fragmented, but that it isn't; time to live; checksum.
    bits.fill(0, ethernet + 1, ethernet + 6)
    bits[ethernet + 6] = 0x3f
    bits[ethernet + 8] = 0
    bits.fill(0, ethernet + 10, ethernet + 12)
  } else {
    // Class, flow label, length; hop limit.
    bits[ethernet] = 0xf0
    bits.fill(0, ethernet + 1, ethernet + 6)
    bits[ethernet + 7] = 0
  }
  // Source port; length, checksum.
  bits.fill(0, udp, udp + 2)
  bits.fill(0, udp + 4, tunnel)
  // The destination port of fou, which has one for each version of IP, is looked at as well.
  if (encapsulation === 'fou') bits.fill(0, udp + 2, udp + 4)
  // VXLAN: of its flags that of a valid identifier, nothing that is reserved. Geneve: as we send it, without options.
  if (encapsulation === 'vxlan') {
    bits[tunnel] = 0x08
    bits.fill(0, tunnel + 1, tunnel + 4)
  }
  bits[tunnel + 7] = 0
  return bits
}
