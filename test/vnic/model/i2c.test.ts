import { I2cSlave } from '../../../src/vnic/model/i2c.ts'

/** The master's half of the bus, as the I2C specification has it: SDA changes while SCL is low. */
class Master {
  private readonly slave: I2cSlave
  private scl = 1
  private sda = 1

  constructor(slave: I2cSlave) {
    this.slave = slave
  }

  private lines(scl: number, sda: number): void {
    this.scl = scl
    this.sda = sda
    this.slave.drive(scl, sda)
  }

  start(): void {
    this.lines(this.scl, 1)
    this.lines(1, 1)
    this.lines(1, 0)
    this.lines(0, 0)
  }

  stop(): void {
    this.lines(0, 0)
    this.lines(1, 0)
    this.lines(1, 1)
  }

  /** Clocks one bit; returns the level of the line, which either side can pull down. */
  private bit(sda: number): number {
    this.lines(0, sda)
    this.lines(1, sda)
    const level = this.sda & this.slave.out
    this.lines(0, sda)
    return level
  }

  /** Returns true if the slave acknowledged. */
  send(byte: number): boolean {
    for (let i = 7; i >= 0; i--) this.bit((byte >> i) & 1)
    return this.bit(1) === 0
  }

  receive(more: boolean): number {
    let byte = 0
    for (let i = 0; i < 8; i++) byte = (byte << 1) | this.bit(1)
    this.bit(more ? 0 : 1)
    return byte
  }

  read(device: number, offset: number, count: number): number[] {
    this.start()
    expect(this.send(device)).toBe(true)
    expect(this.send(offset)).toBe(true)
    this.start()
    expect(this.send(device | 1)).toBe(true)
    const bytes = Array.from({ length: count }, (_, i) => this.receive(i < count - 1))
    this.stop()
    return bytes
  }
}

const page = Uint8Array.from({ length: 256 }, (_, i) => (i * 73 + 0x55) & 0xff)

test('random reads give the byte at the offset, for every value', () => {
  const master = new Master(new I2cSlave(new Map([[0xa0, page]])))
  for (let offset = 0; offset < 256; offset++) expect(master.read(0xa0, offset, 1)).toEqual([page[offset]])
})

test('a sequential read goes on from byte to byte and wraps at the end of the page', () => {
  const master = new Master(new I2cSlave(new Map([[0xa0, page]])))
  expect(master.read(0xa0, 254, 4)).toEqual([page[254], page[255], page[0], page[1]])
})

test('addresses select memories; nobody answers at others, and the bus is usable afterwards', () => {
  const other = page.map((byte) => byte ^ 0xff)
  const slave = new I2cSlave(
    new Map([
      [0xa0, page],
      [0xa2, other],
    ]),
  )
  const master = new Master(slave)
  expect(master.read(0xa2, 7, 2)).toEqual([other[7], other[8]])
  master.start()
  expect(master.send(0x50)).toBe(false)
  master.stop()
  expect(master.read(0xa0, 7, 1)).toEqual([page[7]])
})
