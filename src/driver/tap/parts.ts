import type { PacketMemory } from '../../memory/packets.ts'
import { viewOf } from '../../linux/mapping.ts'
import { COUNTERS } from './counters.ts'
import { HEADER_BYTES, STAGES, queueBytes } from './layout.ts'
import type { TapQueueSpec } from './queue-spec.ts'

/** An address in two halves, as vectors hold it. */
export interface Address {
  readonly low: number
  readonly high: number
}

/** A queue's memory in the thread that works with it. */
export interface QueueParts {
  readonly fd: number
  readonly entries: number
  readonly joins: TapQueueSpec['joins']
  readonly counters: Float64Array
  /** Where the queue's memory is for the kernel, and as words for us. */
  readonly address: bigint
  readonly words: Uint32Array
  /** One view in which both packets and stages lie, so that bytes can be moved between them. */
  readonly bytes: Uint8Array
  /** Index in `bytes` of PacketMemory.u8[0], and of the first stage. */
  readonly packetsAt: number
  readonly stagesAt: number
  /** Address of the virtio_net_hdr in front of a packet at index 0 of PacketMemory.u8. */
  readonly headers: Address
}

export function partsOf(spec: TapQueueSpec, memory: PacketMemory): QueueParts {
  const { memory: address, fd, entries, joins } = spec
  const own = viewOf(address, queueBytes())
  return {
    fd,
    entries,
    joins,
    counters: new Float64Array(own, 0, COUNTERS),
    address,
    words: new Uint32Array(own, 0, STAGES >> 2),
    ...whereBytesAre(memory, address),
    headers: addressOf(memory.address - BigInt(HEADER_BYTES)),
  }
}

function whereBytesAre(
  memory: PacketMemory,
  address: bigint,
): Pick<QueueParts, 'bytes' | 'packetsAt' | 'stagesAt'> {
  const { space, u8 } = memory
  if (space !== null)
    return {
      bytes: new Uint8Array(space.buffer),
      packetsAt: u8.byteOffset,
      stagesAt: space.offsetOf(address) + STAGES,
    }
  const [start, end] =
    memory.address < address
      ? [memory.address, address + BigInt(queueBytes())]
      : [address, memory.address + BigInt(u8.length)]
  return {
    bytes: new Uint8Array(viewOf(start, Number(end - start))),
    packetsAt: Number(memory.address - start),
    stagesAt: Number(address - start) + STAGES,
  }
}

export function addressOf(address: bigint): Address {
  return { low: Number(address & 0xffff_ffffn), high: Number(address >> 32n) }
}
