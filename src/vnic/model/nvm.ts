/** How software reaches the EEPROM, the semaphores around it, and the firmware (82599 §3.3, §8.2.3.2, §10.5.4). */
import { get, put } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { EEPROM_SIZE_CODE, EEPROM_WORDS, makeEeprom } from './eeprom.ts'
import type { CardRegisters } from './registers.ts'
import { SpiEeprom } from './spi.ts'
import type { Strict } from './strict.ts'

const EEC = REG.EEC.fields
/** Bits the host may set; the others tell about the chip. */
const EEC_WRITABLE = EEC.SK.mask | EEC.CS.mask | EEC.DI.mask | EEC.FWE.mask | EEC.REQ.mask
/** All modules of the EEPROM have been read after reset. */
const EEC_DONE =
  EEC.PCI_ANA_DONE.mask |
  EEC.PCI_CORE_DONE.mask |
  EEC.PCI_GENERAL_DONE.mask |
  EEC.PCI_FUNC_DONE.mask |
  EEC.CORE_DONE.mask |
  EEC.CORE_CSR_DONE.mask |
  EEC.MAC_DONE.mask

export class Nvm {
  readonly words: Uint16Array
  private readonly registers: CardRegisters
  private readonly spi: SpiEeprom

  constructor(registers: CardRegisters, strict: Strict, mac: Uint8Array) {
    this.registers = registers
    this.words = makeEeprom(mac)
    this.spi = new SpiEeprom(this.words)

    registers.onRead(REG.EEC, () => {
      const eec = registers.get(REG.EEC) & ~EEC.DO.mask
      return eec | put(EEC.DO, this.spi.out)
    })
    registers.onWrite(REG.EEC, (value) => this.writeEec(value))
    registers.onWrite(REG.EERD, (value) => this.writeEerd(value))

    // Reading SMBI takes it: it was free if it reads 0 (82599 §8.2.3.4.9).
    registers.onRead(REG.SWSM, () => {
      const value = registers.get(REG.SWSM)
      registers.set(REG.SWSM, value | REG.SWSM.fields.SMBI.mask)
      return value
    })
    // Firmware never holds the resource here, so SWESMBI is always granted.
    registers.onWrite(REG.SWSM, (value) => registers.set(REG.SWSM, value & 3))
    registers.onWrite(REG.SW_FW_SYNC, (value) => {
      if (!registers.test(REG.SWSM, REG.SWSM.fields.SWESMBI.mask))
        strict.report('10.5.4', 'SW_FW_SYNC written without holding SWSM.SWESMBI')
      registers.set(REG.SW_FW_SYNC, value)
    })
    registers.onWrite(REG.FWSTS, (value) =>
      registers.change(REG.FWSTS, 0, value & REG.FWSTS.fields.FWRI.mask),
    )
  }

  /** After a reset the card reads its EEPROM by itself; that is over at once here. */
  reset(): void {
    const { registers } = this
    registers.change(
      REG.EEC,
      EEC.PRES.mask | EEC.AUTO_RD.mask | EEC.ADDR_SIZE.mask | put(EEC.SIZE, EEPROM_SIZE_CODE) | EEC_DONE,
      0,
    )
    const { CFG_DONE0, CFG_DONE1 } = REG.EEMNGCTL.fields
    registers.set(REG.EEMNGCTL, CFG_DONE0.mask | CFG_DONE1.mask)
    registers.set(REG.FWSM, REG.FWSM.fields.FW_VAL_BIT.mask)
    registers.set(REG.FACTPS, REG.FACTPS.fields.LAN0_VALID.mask)
  }

  private writeEec(value: number): void {
    const { registers } = this
    let eec = (registers.get(REG.EEC) & ~(EEC_WRITABLE | EEC.GNT.mask)) | (value & EEC_WRITABLE)
    if ((value & EEC.REQ.mask) !== 0) {
      eec |= EEC.GNT.mask
      this.spi.drive(get(EEC.SK, value), get(EEC.CS, value), get(EEC.DI, value))
    } else this.spi.drive(0, 1, 0)
    registers.set(REG.EEC, eec)
  }

  private writeEerd(value: number): void {
    const { START, DONE, ADDR, DATA } = REG.EERD.fields
    if ((value & START.mask) === 0) return
    const address = get(ADDR, value)
    const data = address < EEPROM_WORDS ? this.words[address] : 0xffff
    this.registers.set(REG.EERD, (value & ADDR.mask) | DONE.mask | put(DATA, data))
  }
}
