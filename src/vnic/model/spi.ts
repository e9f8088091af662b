/** The EEPROM chip on its SPI bus, as software sees it through EEC's pins (82599 §3.3.1, §8.2.3.2.1). */
const READ = 0x03
const READ_STATUS = 0x05
const WRITE_ENABLE = 0x06
const WRITE_DISABLE = 0x04
/** Status: ready (bit 0 clear), write enable latch in bit 1. */
const STATUS_WEL = 0x02

/**
 * SPI mode 0: the chip takes a bit of DI at the rising edge of SK and puts a bit on DO at the falling edge. Raising CS
 * (the pin is low-active) ends a command. Writing to the array is refused, as with the protection bits set.
 */
export class SpiEeprom {
  /** The pin DO: 1 while the chip drives nothing. */
  out = 1
  private readonly words: Uint16Array
  private clock = 0
  private shift = 0
  private bits = 0
  private command = -1
  private address = 0
  private writeEnabled = false

  constructor(words: Uint16Array) {
    this.words = words
  }

  /** New levels at the pins: SK, CS (1: not selected), DI. */
  drive(clock: number, select: number, data: number): void {
    if (select === 1) {
      this.standby()
      this.clock = clock
      return
    }
    if (clock === 1 && this.clock === 0) this.rise(data)
    if (clock === 0 && this.clock === 1) this.fall()
    this.clock = clock
  }

  private standby(): void {
    this.command = -1
    this.bits = 0
    this.shift = 0
    this.out = 1
  }

  private rise(data: number): void {
    this.shift = ((this.shift << 1) | data) & 0xffff
    this.bits++
    if (this.command === -1 && this.bits === 8) {
      this.command = this.shift & 0xff
      if (this.command === WRITE_ENABLE) this.writeEnabled = true
      if (this.command === WRITE_DISABLE) this.writeEnabled = false
    } else if (this.command === READ && this.bits === 24) this.address = this.shift
  }

  private fall(): void {
    if (this.command === READ_STATUS && this.bits >= 8) {
      const status = this.writeEnabled ? STATUS_WEL : 0
      this.out = (status >> (7 - (this.bits & 7))) & 1
    } else if (this.command === READ && this.bits >= 24) {
      const bit = this.bits - 24
      const byte = this.byteAt(this.address + (bit >> 3))
      this.out = (byte >> (7 - (bit & 7))) & 1
    }
  }

  /** The chip's bytes are little-endian words. */
  private byteAt(address: number): number {
    const word = this.words[(address >> 1) % this.words.length]
    return (address & 1) === 0 ? word & 0xff : word >> 8
  }
}
