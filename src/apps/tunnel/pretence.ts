/** Packets for the rehearsal: what it pretends to receive are zeros, of which a tunnel would learn nothing but to drop them. */
import type { PacketMemory } from '../../memory/packets.ts'
import { buildFrame, DEFAULT_TEMPLATE } from '../../packet/template.ts'
import type { EthernetFrame } from '../../packet/ethernet.ts'
import { EtherType } from '../../packet/ethernet.ts'
import { VlanTag } from '../../packet/vlan.ts'
import type { Enter } from './enter.ts'
import { layoutOf, type TunnelJob } from './job.ts'

const BYTES = 100

export class Pretence {
  /** A frame for each side that goes through the tunnel. */
  readonly inner: Uint8Array
  readonly outer: Uint8Array
  private readonly memory: PacketMemory

  /** `enter` must find the next hop's MAC address known. */
  constructor(memory: PacketMemory, pool: number, job: TunnelJob, enter: Enter) {
    this.memory = memory
    const [{ vlan }] = job.networks
    this.inner = buildFrame(
      { ...DEFAULT_TEMPLATE, destinationMac: job.innerMac, vlans: vlan === null ? [] : [vlan] },
      BYTES,
    )
    this.outer = this.wrapped(pool, job, enter)
  }

  /** Makes the `count` packets in `batch` such ones. */
  dress(batch: Int32Array, count: number, frame: Uint8Array): void {
    const { u8, size } = this.memory
    for (let i = 0; i < count; i++) {
      u8.set(frame, this.memory.dataOffset(batch[i]))
      size[batch[i]] = frame.length
    }
  }

  /** As it comes from the remote end: of what goes there, with the addresses exchanged, which changes no checksum. */
  private wrapped(pool: number, job: TunnelJob, enter: Enter): Uint8Array {
    const { memory, inner } = this
    const one = memory.batch(1)
    memory.allocate(pool, one, 1)
    this.dress(one, 1, inner)
    enter(one[0])
    const start = memory.dataOffset(one[0])
    const outer = memory.u8.slice(start, start + memory.size[one[0]])
    memory.free(one, 0, 1)
    outer.set(job.mac)
    const bytes = job.local.length
    const at = layoutOf(job).ethernet + (bytes === 4 ? 12 : 8)
    outer.copyWithin(at, at + bytes, at + 2 * bytes)
    outer.set(job.local, at + bytes)
    return outer
  }
}

/** Writes the Ethernet header of a packet from `source` to `destination`, with a VLAN tag unless that is null. */
export function writeHeader(
  frame: EthernetFrame,
  source: Uint8Array,
  destination: Uint8Array,
  vlan: number | null,
  type: number,
): void {
  frame.setSource(source)
  frame.setDestination(destination)
  frame.type = vlan === null ? type : EtherType.VLAN
  if (vlan === null) return
  const tag = new VlanTag()
  tag.wrap(frame.u8, frame.payloadOffset, frame.payloadLength)
  tag.id = vlan
  tag.type = type
}
