/** What the MAC does with a frame from the wire before the filters see it (82599 §3.7.7, §8.2.3.22). */
import { FRAME_ROOM } from '../burst.ts'
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { DEFAULT_MTU, FCS_BYTES, HEADER_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import { MAC_CONTROL, PAUSE, PRIORITY_PAUSE, QUANTUM_MS } from './mac-control.ts'
import type { CardRegisters } from './registers.ts'
import type { Statistics } from './statistics.ts'

/** Longest frame without jumbo frames, FCS included (82599 §8.2.3.22.13). */
const STANDARD_FRAME = HEADER_BYTES + DEFAULT_MTU + FCS_BYTES

/** 01:80:c2:00:00:01, as the halves of an address stand in RAL and RAH. */
const PAUSE_LOW = 0x00c28001
const PAUSE_HIGH = 0x0100
/** Classes of priority flow control. */
const CLASSES = 8

export class Mac {
  /** MAC control frames that it has kept for itself. PAUSE frames count in LXONRXCNT and LXOFFRXCNT, others nowhere. */
  control = 0
  /** Longest frame, without FCS and VLAN tag. */
  maxFrame = STANDARD_FRAME - FCS_BYTES
  /** Frames and bytes (without FCS) since the last flush(): for TPR, TOR. */
  readonly arrivals = new Int32Array(2)
  private readonly registers: CardRegisters
  private readonly statistics: Statistics
  /** The link partner asks for silence. */
  private readonly onPause: (milliseconds: number) => void

  constructor(registers: CardRegisters, statistics: Statistics, onPause: (milliseconds: number) => void) {
    this.registers = registers
    this.statistics = statistics
    this.onPause = onPause
    registers.onWrite(REG.MAXFRS, (value) => {
      registers.set(REG.MAXFRS, value)
      this.update()
    })
  }

  reset(): void {
    this.arrivals.fill(0)
  }

  /** Takes over HLREG0 and MAXFRS. */
  update(): void {
    const { registers } = this
    const jumbo = registers.test(REG.HLREG0, REG.HLREG0.fields.JUMBOEN.mask)
    const limit = jumbo ? get(REG.MAXFRS.fields.MFS, registers.get(REG.MAXFRS)) : STANDARD_FRAME
    this.maxFrame = Math.min(limit, FRAME_ROOM) - FCS_BYTES
  }

  /**
   * Counts a frame of at least the shortest length, but none of flow control that it keeps (82599 §8.2.3.23.59). Returns
   * false if it goes no further; then its fate is counted.
   */
  admits(u8: Uint8Array, offset: number, length: number, vlanType: number): boolean {
    const etherType = (u8[offset + 12] << 8) | u8[offset + 13]
    if (etherType === MAC_CONTROL && !this.passesControl(u8, offset)) {
      this.control++
      return false
    }
    this.arrive(length)
    return length <= this.maxFrame || this.acceptsLength(length, etherType === vlanType)
  }

  /** Counts a frame that has arrived. */
  arrive(length: number): void {
    const { arrivals } = this
    arrivals[0]++
    arrivals[1] += length
  }

  /** A VLAN tag may exceed the limit (82599 §8.2.3.22.13). */
  private acceptsLength(length: number, tagged: boolean): boolean {
    if (length <= this.maxFrame + (tagged ? VLAN_TAG_BYTES : 0) && length <= FRAME_ROOM) return true
    this.statistics.add(REG.ROC)
    return false
  }

  /**
   * Does what a MAC control frame asks for. Returns whether it goes on to the host: DPF says what becomes of PAUSE frames once
   * they are obeyed; PMCF of all other MAC control frames, and those are PAUSE frames, too, while they are not to be obeyed
   * (82599 §3.7.7.1.4).
   */
  passesControl(u8: Uint8Array, offset: number): boolean {
    const { PMCF, DPF, RFCE, RPFCE } = REG.MFLCN.fields
    const mflcn = this.registers.get(REG.MFLCN)
    const opcode = (u8[offset + 14] << 8) | u8[offset + 15]
    let obeyed = false
    if (opcode === PAUSE && this.isForMac(u8, offset)) {
      const quanta = (u8[offset + 16] << 8) | u8[offset + 17]
      this.statistics.add(quanta === 0 ? REG.LXONRXCNT : REG.LXOFFRXCNT)
      obeyed = (mflcn & RFCE.mask) !== 0
      if (obeyed) this.onPause(quanta * QUANTUM_MS)
    } else if (opcode === PRIORITY_PAUSE) {
      obeyed = (mflcn & RPFCE.mask) !== 0
      if (obeyed) this.countPriorities(u8, offset)
    }
    return obeyed ? (mflcn & DPF.mask) === 0 : (mflcn & PMCF.mask) !== 0
  }

  /** Priority flow control: a bit for each class that is meant, then a time for each class. Counted, and nothing is held up. */
  private countPriorities(u8: Uint8Array, offset: number): void {
    for (let i = 0; i < CLASSES; i++) {
      if ((u8[offset + 17] & (1 << i)) === 0) continue
      const quanta = u8[offset + 18 + 2 * i] | u8[offset + 19 + 2 * i]
      this.statistics.add(quanta === 0 ? REG.PXONRXCNT : REG.PXOFFRXCNT, 1, i)
    }
  }

  /** PAUSE goes to an address of its own, or to the station's. */
  private isForMac(u8: Uint8Array, offset: number): boolean {
    const low = u8[offset] | (u8[offset + 1] << 8) | (u8[offset + 2] << 16) | (u8[offset + 3] << 24)
    const high = u8[offset + 4] | (u8[offset + 5] << 8)
    if (low === PAUSE_LOW && high === PAUSE_HIGH) return true
    const { registers } = this
    return low >>> 0 === registers.get(REG.RAL) && high === get(REG.RAH.fields.ADDR, registers.get(REG.RAH))
  }

  /** Once per poll: hands the counts over. */
  flush(): void {
    if (this.arrivals[0] > 0) this.statistics.addArrivals(this.arrivals)
  }
}
