/** The set-up of queues on another card than the 82599: a virtual function, whose registers are elsewhere (82599 §8.3). */
import { at, define, table } from '../../../src/driver/intel/define.ts'
import { readMac } from '../../../src/driver/intel/mac.ts'
import {
  disableQueues,
  startReceiveQueue,
  startTransmitQueue,
} from '../../../src/driver/intel/queue-setup.ts'
import { RegisterFile } from '../../../src/driver/intel/register-file.ts'
import { bit, bits } from '../../../src/driver/intel/register.ts'
import { writeRssTables } from '../../../src/driver/intel/rss.ts'

const queue = (offset: number) => at(offset, 0x40, 8)
const one = (offset: number) => define('8.3', 'RW', queue(offset), '')
const VF = table({
  RDBAL: one(0x1000),
  RDBAH: one(0x1004),
  RDLEN: one(0x1008),
  RDH: one(0x1010),
  RDT: one(0x1018),
  SRRCTL: define('8.3', 'RW', queue(0x1014), '', {
    BSIZEPACKET: bits(4, 0),
    DESCTYPE: bits(27, 25),
    DROP_EN: bit(28),
  }),
  RXDCTL: define('8.3', 'RW', queue(0x1028), '', { ENABLE: bit(25) }),
  TDBAL: one(0x2000),
  TDBAH: one(0x2004),
  TDLEN: one(0x2008),
  TDH: one(0x2010),
  TDT: one(0x2018),
  TXDCTL: define('8.3', 'RW', queue(0x2028), '', {
    PTHRESH: bits(6, 0),
    HTHRESH: bits(14, 8),
    WTHRESH: bits(22, 16),
    ENABLE: bit(25),
  }),
  RAL: define('8.3', 'RW', at(0x5400), ''),
  RAH: define('8.3', 'RW', at(0x5404), ''),
  RXCSUM: define('8.3', 'RW', at(0x5000), '', { PCSD: bit(13) }),
  RETA: define('8.3', 'RW', at(0x5c00, 4, 32), ''),
  RSSRK: define('8.3', 'RW', at(0x5c80, 4, 10), ''),
})

class Registers {
  readonly bytes = 0x8000
  readonly values = new Map<number, number>()

  read32(offset: number): number {
    return this.values.get(offset) ?? 0
  }

  write32(offset: number, value: number): void {
    this.values.set(offset, value)
  }
}

const registers = new Registers()
const regs = new RegisterFile(registers, 'vf', '82599 VF')
const ring = { address: 0n, iova: 0x12_3456_7800, bytes: 8192 }
afterEach(() => registers.values.clear())

/** What has been written, in order of the offsets. */
const written = () => Object.fromEntries([...registers.values].sort(([a], [b]) => a - b))

test('a receive queue', () => {
  startReceiveQueue(regs, VF, 1, ring, { bufferKib: 2, dropEnable: true })
  expect(written()).toEqual({
    0x1040: 0x34567800,
    0x1044: 0x12,
    0x1048: 8192,
    0x1050: 0,
    0x1054: (1 << 28) | (1 << 25) | 2,
    0x1058: 0,
    0x1068: 1 << 25,
  })
  disableQueues(regs, VF.RXDCTL, 2)
  expect(registers.read32(0x1068)).toBe(0)
})

test('a transmit queue', () => {
  registers.write32(0x2028, 0x7f7f7f)
  startTransmitQueue(regs, VF, 0, ring, { prefetch: 8, host: 1 })
  expect(written()).toEqual({
    0x2000: 0x34567800,
    0x2004: 0x12,
    0x2008: 8192,
    0x2010: 0,
    0x2018: 0,
    0x2028: (1 << 25) | (1 << 8) | 8,
  })
})

test('address, key and redirection', () => {
  registers.write32(0x5400, 0x12005452)
  registers.write32(0x5404, 0x80005634)
  expect(readMac(regs, VF)).toBe('52:54:00:12:34:56')
  writeRssTables(regs, VF, 3)
  expect([registers.read32(0x5c00), registers.read32(0x5c04)]).toEqual([0x00020100, 0x01000201])
  expect(registers.read32(0x5c80)).toBe(0xda565a6d)
  expect(registers.read32(0x5000)).toBe(1 << 13)
})

test('errors name the device and its own datasheet', () => {
  registers.read32 = () => 0
  expect(() => disableQueues(regs, VF.RXDCTL, 9)).toThrow(/RXDCTL\[8\] does not exist/)
  expect(() => regs.waitFor(VF.RXDCTL, 1, true, { deadline: 1, index: 3 })).toThrow(
    /vf: RXDCTL\[3\] & 0x00000001 is 0x00000000.*\(82599 VF §8\.3\)/,
  )
})
