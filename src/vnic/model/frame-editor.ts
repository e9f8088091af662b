/** Frames that are changed on their way to the host: padded, without their VLAN tag, with their FCS. */
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { MAX_FRAME, MIN_FRAME } from './statistics.ts'

const ADDRESSES = 12
const VLAN_TAG = 4
const FCS = 4

export class FrameEditor {
  /** Every result is here, from offset 0; valid until the next call. */
  private readonly result = allocateBytes(MAX_FRAME + 64)

  /** Fills up to the shortest frame. */
  pad(memory: Bytes, offset: number, length: number): Bytes {
    copyBytes(memory, offset, this.result, 0, length)
    this.result.u8.fill(0, length, MIN_FRAME)
    return this.result
  }

  removeTag(memory: Bytes, offset: number, length: number): Bytes {
    const rest = ADDRESSES + VLAN_TAG
    copyBytes(memory, offset, this.result, 0, ADDRESSES)
    copyBytes(memory, offset + rest, this.result, ADDRESSES, length - rest)
    return this.result
  }

  /** Puts `crc` behind `length` bytes, lowest byte first. */
  appendCrc(memory: Bytes, offset: number, length: number, crc: number): Bytes {
    const { result } = this
    if (memory !== result) copyBytes(memory, offset, result, 0, length)
    for (let i = 0; i < FCS; i++) result.u8[length + i] = crc >>> (8 * i)
    return result
  }
}
