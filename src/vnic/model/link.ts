/**
 * The link: SFI at 10 Gbit/s to an SFP+ module (82599 §3.7, §4.6.4, §8.2.3.22), and the buses to the PHY and module.
 *
 * The link is up when the cable is plugged and AUTOC and AUTOC2 select what the module can do, some milliseconds after
 * the last of these has changed, or when AUTOC forces it up.
 */
import { get, put } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { I2cSlave } from './i2c.ts'
import type { CardRegisters } from './registers.ts'
import { makeSfpModule } from './sfp.ts'

/** As Intel's boards have them in their EEPROM: 10 Gbit/s serial over SFI. */
const AUTOC_DEFAULT = 0xc09c6004
const AUTOC2_DEFAULT = 0x000a0000
const LMS_10G_SERIAL = 3
/** LMS 4 to 7: backplane modes with auto-negotiation (82599 §8.2.3.22.19). */
const LMS_FIRST_NEGOTIATING = 4
const SERIAL_SFI = 2
const SPEED_10G = 3

/** On real cards the link takes half a second to eight seconds; whoever doesn't wait for it shall notice here too. */
const BRING_UP_MS = 20

/** The module is in its cage: MOD_ABS, inverted, at SDP2. */
const MODULE_PRESENT = REG.ESDP.fields.SDP2_DATA.mask

export class Link {
  up = false
  private readonly registers: CardRegisters
  private readonly changed: (up: boolean) => void
  private plugged = true
  /** When the link comes up, on the clock of tick(); NaN: as soon as tick() is called next plus the bring-up time. */
  private upAt = NaN
  private readonly module = new I2cSlave(makeSfpModule())

  /** `changed` is called after LINKS has changed. */
  constructor(registers: CardRegisters, changed: (up: boolean) => void) {
    this.registers = registers
    this.changed = changed

    registers.onWrite(REG.AUTOC, (value) => {
      const old = registers.get(REG.AUTOC)
      registers.set(REG.AUTOC, value & ~REG.AUTOC.fields.RESTART_AN.mask)
      if (
        (value & REG.AUTOC.fields.RESTART_AN.mask) !== 0 ||
        ((value ^ old) & REG.AUTOC.fields.FLU.mask) !== 0
      )
        this.restart()
    })
    registers.onRead(REG.ANLP1, () => {
      const negotiating = get(REG.AUTOC.fields.LMS, registers.get(REG.AUTOC)) >= LMS_FIRST_NEGOTIATING
      return put(REG.ANLP1.fields.AN_STATE, negotiating ? 1 : 0)
    })
    // Bits that software may not set tell the pins' levels: the module is there.
    registers.onWrite(REG.ESDP, (value) => registers.set(REG.ESDP, value | MODULE_PRESENT))
    registers.onWrite(REG.MSCA, (value) => {
      // A management command is done at once. There is no PHY on this bus: reads give all ones.
      const { MDICMD, OPCODE } = REG.MSCA.fields
      if ((value & MDICMD.mask) !== 0 && get(OPCODE, value) >= 2) registers.change(REG.MSRWD, 0xffff0000, 0)
      registers.set(REG.MSCA, value & ~MDICMD.mask)
    })
    registers.onWrite(REG.CORECTL, (value) =>
      registers.set(REG.CORECTL, value & ~REG.CORECTL.fields.WRITE_CMD.mask),
    )
    const { CLK_IN, CLK_OUT, DATA_IN, DATA_OUT } = REG.I2CCTL.fields
    registers.onRead(REG.I2CCTL, () => {
      const value = registers.get(REG.I2CCTL) & (CLK_OUT.mask | DATA_OUT.mask)
      const clock = get(CLK_OUT, value)
      const data = get(DATA_OUT, value) & this.module.out
      return value | put(CLK_IN, clock) | put(DATA_IN, data)
    })
    registers.onWrite(REG.I2CCTL, (value) => {
      registers.set(REG.I2CCTL, value)
      this.module.drive(get(CLK_OUT, value), get(DATA_OUT, value))
    })
  }

  /** After a reset of the MAC: defaults from the EEPROM, and the link starts over. */
  reset(): void {
    const { registers } = this
    registers.set(REG.AUTOC, AUTOC_DEFAULT)
    registers.set(REG.AUTOC2, AUTOC2_DEFAULT)
    registers.change(REG.ESDP, MODULE_PRESENT, 0)
    registers.set(REG.I2CCTL, REG.I2CCTL.fields.CLK_OUT.mask | REG.I2CCTL.fields.DATA_OUT.mask)
    this.module.drive(1, 1)
    this.restart()
  }

  plug(plugged: boolean): void {
    if (plugged === this.plugged) return
    this.plugged = plugged
    this.restart()
  }

  private restart(): void {
    this.upAt = NaN
    this.set(false)
  }

  private possible(): boolean {
    const autoc = this.registers.get(REG.AUTOC)
    if ((autoc & REG.AUTOC.fields.FLU.mask) !== 0) return true
    const autoc2 = this.registers.get(REG.AUTOC2)
    return (
      this.plugged &&
      get(REG.AUTOC.fields.LMS, autoc) === LMS_10G_SERIAL &&
      get(REG.AUTOC2.fields.PMAPMD_10G_SERIAL, autoc2) === SERIAL_SFI &&
      get(REG.AUTOC2.fields.LINK_DISABLE, autoc2) === 0
    )
  }

  /** Call often. Returns when the link will next change by itself (ms, on the same clock), Infinity if never. */
  tick(now: number): number {
    const possible = this.possible()
    if (possible === this.up) return Infinity
    if (!possible) {
      this.restart()
      return Infinity
    }
    if (Number.isNaN(this.upAt)) this.upAt = now + BRING_UP_MS
    if (now < this.upAt) return this.upAt
    this.set(true)
    return Infinity
  }

  private set(up: boolean): void {
    const { LINK_UP, LINK_STATUS, LINK_SPEED, SIGNAL_DETECT } = REG.LINKS.fields
    const signal = this.plugged ? SIGNAL_DETECT.mask & (1 << SIGNAL_DETECT.shift) : 0
    const links = up ? LINK_UP.mask | LINK_STATUS.mask | put(LINK_SPEED, SPEED_10G) : 0
    this.registers.set(REG.LINKS, links | signal)
    this.registers.change(REG.STATUS, up ? REG.STATUS.fields.LINK_UP.mask : 0, REG.STATUS.fields.LINK_UP.mask)
    if (up === this.up) return
    this.up = up
    this.changed(up)
  }
}
