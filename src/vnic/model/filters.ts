/** Which frames the host wants (82599 §7.1.1): addresses and VLANs. */
import { get, type Register } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import type { CardRegisters } from './registers.ts'
import type { Strict } from './strict.ts'

/** First bit of the 12 address bits that select a bit of MTA, by MCSTCTRL.MO, from bit 32 of the address. */
const MULTICAST_SHIFT = [4, 3, 2, 0]

export class Filters {
  /** True if every frame passes, so that nobody needs to look. */
  open = false
  /** VLNCTRL.VFE: frames are to be asked for their VLAN. */
  byVlan = false
  /** VLNCTRL.VET. */
  vlanType = 0x8100
  private readonly registers: CardRegisters
  private unicastAll = false
  private multicastAll = false
  private broadcast = false
  private multicastTable = false
  private multicastShift = 4
  /** Receive addresses that are valid: low 32 bits and high 16 bits of each. */
  private readonly low: number[] = []
  private readonly high: number[] = []

  constructor(registers: CardRegisters, strict: Strict) {
    this.registers = registers
    const store = (register: Register): void =>
      registers.onWrite(register, (value, index) => {
        registers.set(register, value, index)
        this.update()
      })
    for (const register of [REG.RAL, REG.RAH, REG.MCSTCTRL, REG.VLNCTRL]) store(register)
    registers.onWrite(REG.FCTRL, (value) => {
      if (registers.test(REG.RXCTRL, REG.RXCTRL.fields.RXEN.mask) && value !== registers.get(REG.FCTRL))
        strict.report('8.2.3.7.1', 'FCTRL changed while RXCTRL.RXEN is set')
      registers.set(REG.FCTRL, value)
      this.update()
    })
  }

  /** Takes over what the registers say. */
  update(): void {
    const { registers } = this
    const { UPE, MPE, BAM } = REG.FCTRL.fields
    const fctrl = registers.get(REG.FCTRL)
    const vlan = registers.get(REG.VLNCTRL)
    const multicast = registers.get(REG.MCSTCTRL)
    this.unicastAll = (fctrl & UPE.mask) !== 0
    this.multicastAll = (fctrl & MPE.mask) !== 0
    this.broadcast = (fctrl & BAM.mask) !== 0
    this.multicastTable = (multicast & REG.MCSTCTRL.fields.MFE.mask) !== 0
    this.multicastShift = MULTICAST_SHIFT[get(REG.MCSTCTRL.fields.MO, multicast)]
    this.byVlan = (vlan & REG.VLNCTRL.fields.VFE.mask) !== 0
    this.vlanType = get(REG.VLNCTRL.fields.VET, vlan)
    this.open = this.unicastAll && this.multicastAll && this.broadcast && !this.byVlan
    this.low.length = 0
    this.high.length = 0
    for (let i = 0; i < REG.RAL.count; i++) {
      const high = registers.get(REG.RAH, i)
      if ((high & REG.RAH.fields.AV.mask) === 0) continue
      this.low.push(registers.get(REG.RAL, i))
      this.high.push(high & 0xffff)
    }
  }

  /** True if the frame's destination is wanted. */
  accepts(u8: Uint8Array, offset: number): boolean {
    const low = (u8[offset] | (u8[offset + 1] << 8) | (u8[offset + 2] << 16) | (u8[offset + 3] << 24)) >>> 0
    const high = u8[offset + 4] | (u8[offset + 5] << 8)
    if (low === 0xffffffff && high === 0xffff) return this.broadcast
    if ((low & 1) === 0) return this.unicastAll || this.hasAddress(low, high)
    if (this.multicastAll || this.hasAddress(low, high)) return true
    if (!this.multicastTable) return false
    const vector = (high >>> this.multicastShift) & 0xfff
    return ((this.registers.get(REG.MTA, vector >> 5) >>> (vector & 31)) & 1) === 1
  }

  private hasAddress(low: number, high: number): boolean {
    for (let i = 0; i < this.low.length; i++) if (this.low[i] === low && this.high[i] === high) return true
    return false
  }

  /** True if a frame with this tag (-1: none) is wanted (82599 §7.1.1.2). */
  acceptsVlan(tag: number): boolean {
    if (!this.byVlan || tag < 0) return true
    const id = tag & 0xfff
    return ((this.registers.get(REG.VFTA, id >> 5) >>> (id & 31)) & 1) === 1
  }
}
