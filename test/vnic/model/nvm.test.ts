/** EEPROM and SFP+ module, reached the ways that drivers reach them. */
import { put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { checksumOf, EEPROM_WORDS, makeEeprom } from '../../../src/vnic/model/eeprom.ts'
import { Host, MAC } from './host.ts'

let host: Host
beforeEach(() => {
  host = new Host()
})

function readWord(address: number): number {
  const { START, DONE, ADDR } = REG.EERD.fields
  host.write(REG.EERD, put(ADDR, address) | START.mask)
  const value = host.read(REG.EERD)
  expect(value & DONE.mask).toBe(DONE.mask)
  return value >>> 16
}

describe('the EEPROM by EERD', () => {
  test('adds up to 0xBABA with its sections', () => {
    const words = makeEeprom(MAC)
    expect(readWord(0x3f)).toBe(words[0x3f])
    expect((checksumOf(words) + words[0x3f]) & 0xffff).toBe(0xbaba)
  })

  test('leads Linux to firmware version, SFP+ set-up and capabilities', () => {
    const patch = readWord(readWord(0x0f) + 4)
    expect(readWord(patch + 7)).toBeGreaterThan(5)
    // No link establishment by firmware, or Linux would take a semaphore for every AUTOC access.
    expect([0, 0xffff]).toContain(readWord(readWord(0x0f) + 2))
    expect(readWord(0x2c) & 0x80).toBe(0x80)
    let entry = readWord(0x2b) + 1
    while (readWord(entry) !== 5) {
      expect(readWord(entry)).not.toBe(0xffff)
      entry += 2
    }
    let data = readWord(entry + 1)
    let count = 0
    while (readWord(++data) !== 0xffff) count++
    expect(count).toBe(2)
  })

  test('has the part number as a string behind the guard word', () => {
    expect(readWord(0x15)).toBe(0xfafa)
    const at = readWord(0x16)
    const length = readWord(at)
    let text = ''
    for (let i = 1; i < length; i++) {
      const word = readWord(at + i)
      text += String.fromCharCode(word >> 8, word & 0xff)
    }
    expect(text).toBe('E66560-003')
  })

  test('ends where EEC says', () => {
    const size = (host.read(REG.EEC) & REG.EEC.fields.SIZE.mask) >>> REG.EEC.fields.SIZE.shift
    expect(2 ** (size + 6)).toBe(EEPROM_WORDS)
    expect(readWord(EEPROM_WORDS)).toBe(0xffff)
  })
})

describe('the EEPROM by its SPI pins', () => {
  const { SK, CS, DI, DO, REQ, GNT } = REG.EEC.fields
  const change = (set: number, clear: number): void => host.modify(REG.EEC, set, clear)

  function shiftOut(value: number, bits: number): void {
    for (let i = bits - 1; i >= 0; i--) {
      change(((value >> i) & 1) === 1 ? DI.mask : 0, DI.mask)
      change(SK.mask, 0)
      change(0, SK.mask)
    }
    change(0, DI.mask)
  }

  function shiftIn(bits: number): number {
    let value = 0
    for (let i = 0; i < bits; i++) {
      change(SK.mask, 0)
      value = (value << 1) | ((host.read(REG.EEC) & DO.mask) === 0 ? 0 : 1)
      change(0, SK.mask)
    }
    return value
  }

  function standby(): void {
    change(CS.mask, 0)
    change(0, CS.mask)
  }

  test('words are read as by EERD, once the bus was granted', () => {
    expect(host.read(REG.EEC) & GNT.mask).toBe(0)
    change(REQ.mask, 0)
    expect(host.read(REG.EEC) & GNT.mask).toBe(GNT.mask)
    change(0, CS.mask | SK.mask)
    shiftOut(0x05, 8)
    expect(shiftIn(8) & 1).toBe(0)
    for (const address of [0x00, 0x15, 0x16, 0x2b, 0x3f, 0x83]) {
      standby()
      shiftOut(0x03, 8)
      shiftOut(address * 2, 16)
      const swapped = shiftIn(16)
      expect([address, ((swapped & 0xff) << 8) | (swapped >> 8)]).toEqual([address, readWord(address)])
    }
    change(0, REQ.mask)
    expect(host.read(REG.EEC) & GNT.mask).toBe(0)
  })
})

describe('the semaphores', () => {
  test('reading SMBI takes it, SWESMBI is granted when asked for, and both can be given back', () => {
    expect(host.read(REG.SWSM) & 1).toBe(0)
    expect(host.read(REG.SWSM) & 1).toBe(1)
    host.write(REG.SWSM, 3)
    expect(host.read(REG.SWSM)).toBe(3)
    host.write(REG.SW_FW_SYNC, 2)
    expect(host.read(REG.SW_FW_SYNC)).toBe(2)
    host.write(REG.SWSM, 0)
    expect(host.read(REG.SWSM) & 1).toBe(0)
    expect(host.breaches()).toEqual([])
  })
})

test('the firmware’s reset indication is cleared by writing it, as Linux does before a host interface command', () => {
  const { FWRI } = REG.FWSTS.fields
  host.device.registers.set(REG.FWSTS, FWRI.mask | 1)
  host.write(REG.FWSTS, host.read(REG.FWSTS) | FWRI.mask)
  expect(host.read(REG.FWSTS)).toBe(1)
  host.write(REG.FWSTS, 0)
  expect(host.read(REG.FWSTS)).toBe(1)
  expect(host.breaches()).toEqual([])
})

describe('the SFP+ module', () => {
  const { CLK_IN, CLK_OUT, DATA_IN, DATA_OUT } = REG.I2CCTL.fields
  const pin = (mask: number, level: boolean): void =>
    host.modify(REG.I2CCTL, level ? mask : 0, level ? 0 : mask)
  const scl = (level: boolean): void => pin(CLK_OUT.mask, level)
  const sda = (level: boolean): void => pin(DATA_OUT.mask, level)

  function start(): void {
    sda(true)
    scl(true)
    sda(false)
    scl(false)
  }
  function stop(): void {
    sda(false)
    scl(true)
    sda(true)
  }
  function readBit(): number {
    sda(true)
    scl(true)
    expect(host.read(REG.I2CCTL) & CLK_IN.mask).toBe(CLK_IN.mask)
    const level = (host.read(REG.I2CCTL) & DATA_IN.mask) === 0 ? 0 : 1
    scl(false)
    return level
  }
  /** Returns true if the module acknowledges. */
  function writeByte(value: number): boolean {
    for (let i = 7; i >= 0; i--) {
      sda(((value >> i) & 1) === 1)
      scl(true)
      scl(false)
    }
    return readBit() === 0
  }
  function readByte(last: boolean): number {
    let value = 0
    for (let i = 0; i < 8; i++) value = (value << 1) | readBit()
    sda(last)
    scl(true)
    scl(false)
    return value
  }
  function readModule(address: number, offset: number, count = 1): number[] {
    start()
    expect(writeByte(address)).toBe(true)
    expect(writeByte(offset)).toBe(true)
    start()
    expect(writeByte(address | 1)).toBe(true)
    const bytes = Array.from({ length: count }, (_, i) => readByte(i === count - 1))
    stop()
    return bytes
  }

  test('says that it is a 10GBASE-SR module that Linux accepts', () => {
    expect(readModule(0xa0, 0)).toEqual([3])
    expect(readModule(0xa0, 3)[0] & 0x10).toBe(0x10)
    expect(readModule(0xa0, 8)).toEqual([0])
    expect(readModule(0xa0, 0x25, 3)).toEqual([0x00, 0x1b, 0x21])
    expect(readModule(0xa0, 0x5c)[0] & 0x04).toBe(0)
    expect(String.fromCharCode(...readModule(0xa0, 20, 16))).toBe('Intel Corp      ')
  })

  test('both check codes of the identity and that of the diagnostics are right', () => {
    const identity = readModule(0xa0, 0, 96)
    const sum = (from: number, to: number): number =>
      identity.slice(from, to).reduce((a, b) => a + b, 0) & 0xff
    expect([sum(0, 63), sum(64, 95)]).toEqual([identity[63], identity[95]])
    const diagnostics = readModule(0xa2, 0, 106)
    expect(diagnostics.slice(0, 95).reduce((a, b) => a + b, 0) & 0xff).toBe(diagnostics[95])
    expect(diagnostics[96]).toBe(38)
  })

  test('reads on from where it is, and nobody else is on the bus', () => {
    expect(readModule(0xa0, 255, 2)).toEqual([0, 3])
    start()
    expect(writeByte(0xb0)).toBe(false)
    stop()
    expect(readModule(0xa0, 0)).toEqual([3])
  })

  test('recovers when it is clocked out of a broken transfer', () => {
    start()
    writeByte(0xa0)
    writeByte(0)
    start()
    writeByte(0xa1)
    readBit()
    readBit()
    for (let i = 0; i < 9; i++) readBit()
    start()
    stop()
    expect(readModule(0xa0, 0)).toEqual([3])
  })
})

describe('the link', () => {
  const { LMS, RESTART_AN, FLU } = REG.AUTOC.fields
  const up = (): boolean => (host.read(REG.LINKS) & REG.LINKS.fields.LINK_UP.mask) !== 0

  test('comes up some milliseconds after a reset, at 10 Gbit/s, and tells by LSC', () => {
    expect(up()).toBe(false)
    host.poll(5)
    expect(up()).toBe(false)
    host.waitForLink()
    expect((host.read(REG.LINKS) >>> 28) & 3).toBe(3)
    expect(host.read(REG.EICR) & REG.EICR.fields.LSC.mask).not.toBe(0)
    expect(host.read(REG.STATUS) & REG.STATUS.fields.LINK_UP.mask).not.toBe(0)
  })

  test('survives the pipeline reset of Linux, which toggles LMS and waits for the negotiation to start', () => {
    host.waitForLink()
    const autoc = host.read(REG.AUTOC) | RESTART_AN.mask
    host.write(REG.AUTOC, autoc ^ (4 << LMS.shift))
    expect(host.read(REG.ANLP1) & REG.ANLP1.fields.AN_STATE.mask).not.toBe(0)
    host.poll(100)
    expect(up()).toBe(false)
    host.write(REG.AUTOC, autoc)
    expect(host.read(REG.AUTOC) & RESTART_AN.mask).toBe(0)
    host.waitForLink()
    expect(up()).toBe(true)
  })

  test('follows the cable, and can be forced without one', () => {
    host.waitForLink()
    host.device.setLink(false)
    expect(up()).toBe(false)
    host.poll(100)
    expect(up()).toBe(false)
    host.modify(REG.AUTOC, FLU.mask)
    host.poll(100)
    expect(up()).toBe(true)
    host.modify(REG.AUTOC, 0, FLU.mask)
    host.device.setLink(true)
    host.waitForLink()
    expect(up()).toBe(true)
  })
})
