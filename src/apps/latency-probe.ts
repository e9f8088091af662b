import type { RecordableHistogram } from 'node:perf_hooks'
import type { PacketMemory } from '../memory/packets.ts'

/**
 * Where the moment of sending is, counted from the end of the frame: 48 bits of nanoseconds, little-endian, in front of
 * the sequence number. In a packet of 60 bytes that is behind byte 48, which `forward --touch` changes.
 */
const STAMP_FROM_END = 10
const STAMP_BYTES = 6
/** Where the payload `ixy` of pktgen's packets begins: behind Ethernet, IPv4 and UDP headers, or a VLAN tag as well. */
const PAYLOAD = 42
const TAGGED_PAYLOAD = 46
/** Older than this, nanoseconds, a packet is not one of ours that has come back. */
const OLDEST = 10e9

/** Round-trip times of pktgen's packets, for those that come back. */
export class LatencyProbe {
  private readonly memory: PacketMemory
  /** In nanoseconds. */
  private readonly histogram: RecordableHistogram

  constructor(memory: PacketMemory, histogram: RecordableHistogram) {
    this.memory = memory
    this.histogram = histogram
  }

  /** Writes `now` (milliseconds, monotonic) into the first `count` packets of `ids`. */
  stamp(ids: Int32Array, count: number, now: number): void {
    const { memory } = this
    const { u8, size } = memory
    const nanoseconds = Math.round(now * 1e6)
    const low = nanoseconds >>> 0
    const high = Math.floor(nanoseconds / 2 ** 32)
    for (let i = 0; i < count; i++) {
      const at = memory.dataOffset(ids[i]) + size[ids[i]] - STAMP_FROM_END
      u8[at] = low
      u8[at + 1] = low >>> 8
      u8[at + 2] = low >>> 16
      u8[at + 3] = low >>> 24
      u8[at + 4] = high
      u8[at + 5] = high >>> 8
    }
  }

  /** Records how long ago the first `count` packets of `ids` were stamped, those that are pktgen's. */
  collect(ids: Int32Array, count: number, now: number): void {
    const { memory, histogram } = this
    const { u8, size } = memory
    const nanoseconds = Math.round(now * 1e6) % 2 ** (8 * STAMP_BYTES)
    for (let i = 0; i < count; i++) {
      const at = memory.dataOffset(ids[i]) + size[ids[i]] - STAMP_FROM_END
      const low = u8[at] + u8[at + 1] * 2 ** 8 + u8[at + 2] * 2 ** 16 + u8[at + 3] * 2 ** 24
      const high = u8[at + 4] + u8[at + 5] * 2 ** 8
      const age = nanoseconds - (low + high * 2 ** 32)
      if (age > 0 && age < OLDEST && this.isOurs(memory.dataOffset(ids[i]))) histogram.record(age)
    }
  }

  private isOurs(frame: number): boolean {
    return this.saysIxy(frame + PAYLOAD) || this.saysIxy(frame + TAGGED_PAYLOAD)
  }

  private saysIxy(at: number): boolean {
    const { u8 } = this.memory
    return u8[at] === 0x69 && u8[at + 1] === 0x78 && u8[at + 2] === 0x79
  }
}
