/** Frames that are changed on their way to the host: padded, without their VLAN tag, with their FCS. */
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { FCS_BYTES, MIN_FRAME_BYTES, TYPE, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { LONGEST_FRAME } from '../wires/wire.ts'

export class FrameEditor {
  /** Every result is here, from offset 0; valid until the next call. */
  private readonly result = allocateBytes(LONGEST_FRAME + 64)

  /** Fills up to the shortest frame. */
  pad(memory: Bytes, offset: number, length: number): Bytes {
    copyBytes(memory, offset, this.result, 0, length)
    this.result.u8.fill(0, length, MIN_FRAME_BYTES)
    return this.result
  }

  removeTag(memory: Bytes, offset: number, length: number): Bytes {
    const rest = TYPE + VLAN_TAG_BYTES
    copyBytes(memory, offset, this.result, 0, TYPE)
    copyBytes(memory, offset + rest, this.result, TYPE, length - rest)
    return this.result
  }

  /** Puts `crc` behind `length` bytes, lowest byte first. */
  appendCrc(memory: Bytes, offset: number, length: number, crc: number): Bytes {
    const { result } = this
    if (memory !== result) copyBytes(memory, offset, result, 0, length)
    for (let i = 0; i < FCS_BYTES; i++) result.u8[length + i] = crc >>> (8 * i)
    return result
  }
}
