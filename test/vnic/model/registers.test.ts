/** Register behaviour, with Linux's own offline register test (ethtool -t) as a conformance suite. */
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Host, MAC } from './host.ts'

let host: Host
beforeEach(() => {
  host = new Host()
})

const read = (offset: number): number => host.device.registers.read(offset)
const write = (offset: number, value: number): void => host.device.registers.write(offset, value >>> 0)

describe('what ethtool -t writes and expects to read back', () => {
  const PATTERNS = [0x5a5a5a5a, 0xa5a5a5a5, 0, 0xffffffff]

  /** Writes every pattern & `writable`, expects it back & `readable`, and restores the register. */
  function pattern(offset: number, readable: number, writable: number): void {
    for (const value of PATTERNS) {
      const before = read(offset)
      write(offset, value & writable)
      expect([offset.toString(16), read(offset)]).toEqual([
        offset.toString(16),
        (value & writable & readable) >>> 0,
      ])
      write(offset, before)
    }
  }

  test.each([
    ['FCRTL', offsetOf(REG.FCRTL), 1, 0, 0x8007fff0, 0x8007fff0],
    ['FCRTH', offsetOf(REG.FCRTH), 1, 0, 0x8007fff0, 0x8007fff0],
    ['PFCTOP', offsetOf(REG.PFCTOP), 1, 0, 0xffffffff, 0xffffffff],
    ['VLNCTRL', offsetOf(REG.VLNCTRL), 1, 0, 0, 0],
    ['RDBAL', offsetOf(REG.RDBAL), 4, 0x40, 0xffffff80, 0xffffff80],
    ['RDBAH', offsetOf(REG.RDBAH), 4, 0x40, 0xffffffff, 0xffffffff],
    ['RDLEN', offsetOf(REG.RDLEN), 4, 0x40, 0x000fff80, 0x000fffff],
    ['FCTTV', offsetOf(REG.FCTTV), 1, 0, 0xffffffff, 0xffffffff],
    ['TDBAL', offsetOf(REG.TDBAL), 4, 0x40, 0xffffff80, 0xffffffff],
    ['TDBAH', offsetOf(REG.TDBAH), 4, 0x40, 0xffffffff, 0xffffffff],
    ['TDLEN', offsetOf(REG.TDLEN), 4, 0x40, 0x000fff80, 0x000fff80],
    ['RAL', 0x5400, 16, 8, 0xffffffff, 0xffffffff],
    ['RAH', 0x5404, 16, 8, 0x8001ffff, 0x800cffff],
    ['MTA', offsetOf(REG.MTA), 128, 4, 0xffffffff, 0xffffffff],
  ])('%s', (_, offset, count, stride, readable, writable) => {
    for (let i = 0; i < count; i++) pattern(offset + i * stride, readable, writable)
  })

  test('RDT, while the queue is enabled without a ring', () => {
    for (let queue = 0; queue < 4; queue++) host.write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask, queue)
    for (let queue = 0; queue < 4; queue++) pattern(offsetOf(REG.RDT, queue), 0xffff, 0xffff)
    host.poll(5)
    for (let queue = 0; queue < 4; queue++) host.write(REG.RXDCTL, 0, queue)
    expect(host.read(REG.RXDCTL)).toBe(0)
  })

  test('RXCTRL, and STATUS, which does not change', () => {
    host.write(REG.RXCTRL, 1)
    expect(host.read(REG.RXCTRL) & 1).toBe(1)
    host.write(REG.RXCTRL, 0)
    const before = host.read(REG.STATUS)
    host.write(REG.STATUS, 0x7ffff30f)
    expect(host.read(REG.STATUS) & 0x7ffff30f).toBe(before & 0x7ffff30f)
  })
})

describe('after a reset', () => {
  test('registers have the values of the datasheet', () => {
    const values: [string, number][] = [
      ['HLREG0', 0x0001040b],
      ['RDRXCTL', 0x00100008],
      ['SRRCTL', 0x402],
      ['RTTDCS', 0x00c00000],
      ['DMATXCTL', 0x81000004],
      ['DTXMXSZRQ', 0x10],
      ['VLNCTRL', 0x8100],
      ['SECRXCTRL', 1],
      ['RXPBSIZE', 0x80000],
      ['TXPBSIZE', 0x28000],
    ]
    for (const [name, value] of values)
      expect([name, host.read(REG[name as keyof typeof REG])]).toEqual([name, value])
    expect([host.read(REG.RXPBSIZE, 1), host.read(REG.TXPBSIZE, 7), host.read(REG.TXPBTHRESH, 1)]).toEqual([
      0, 0, 0,
    ])
    expect(host.read(REG.EEC) & (REG.EEC.fields.PRES.mask | REG.EEC.fields.AUTO_RD.mask)).toBe(0x300)
    expect(host.read(REG.RAL)).toBe(0x12005452)
    expect(host.read(REG.RAH)).toBe(0x80005634)
    expect(host.read(REG.STATUS) & REG.STATUS.fields.MASTER_ENABLE.mask).not.toBe(0)
  })

  test('CTRL.RST and LRST clear themselves and what was written before; ESDP stays', () => {
    for (const bit of [REG.CTRL.fields.RST.mask, REG.CTRL.fields.LRST.mask]) {
      host.write(REG.RAL, 0)
      host.write(REG.ESDP, 0x08)
      host.write(REG.FCTRL, 0x700)
      host.write(REG.CTRL, bit)
      expect(host.read(REG.CTRL)).toBe(0)
      expect(host.read(REG.FCTRL)).toBe(0)
      expect(host.read(REG.RAL)).toBe(0x12005452)
      expect(host.read(REG.ESDP) & 0x08).toBe(0x08)
    }
  })
})

test('the security engine is fused off, and its data path stops and goes on for all that', () => {
  for (const [control, status] of [
    [REG.SECTXCTRL, REG.SECTXSTAT],
    [REG.SECRXCTRL, REG.SECRXSTAT],
  ] as const) {
    expect(host.read(status)).toBe(2)
    host.write(control, 2)
    expect(host.read(status)).toBe(3)
    host.write(control, 0)
    expect(host.read(status)).toBe(2)
  }
})

describe('reception starts with the path through the security block closed and empty', () => {
  const { RX_DIS } = REG.SECRXCTRL.fields
  const { RXEN } = REG.RXCTRL.fields

  test('so it is no breach', () => {
    host.initialise()
    host.enableReceive()
    expect(host.breaches()).toEqual([])
  })

  test('open, it is one', () => {
    host.initialise()
    host.write(REG.RXCTRL, RXEN.mask)
    expect(host.breaches()).toEqual(['RXCTRL.RXEN set while SECRXCTRL.RX_DIS lets frames in (82599 §4.6.7)'])
  })

  test('closed, but not known to be empty, it is one', () => {
    host.initialise()
    host.read(REG.SECRXSTAT)
    host.write(REG.SECRXCTRL, RX_DIS.mask)
    host.write(REG.RXCTRL, RXEN.mask)
    expect(host.breaches()).toEqual(['RXCTRL.RXEN set before SECRXSTAT.SECRX_RDY was seen (82599 §4.6.7)'])
  })
})

test('master disable is shown in STATUS', () => {
  host.write(REG.CTRL, REG.CTRL.fields.MASTER_DISABLE.mask)
  expect(host.read(REG.STATUS) & REG.STATUS.fields.MASTER_ENABLE.mask).toBe(0)
  host.write(REG.CTRL, 0)
  expect(host.read(REG.STATUS) & REG.STATUS.fields.MASTER_ENABLE.mask).not.toBe(0)
})

test('the handshakes that Linux polls come to an end', () => {
  host.write(REG.FDIRCTRL, 0x43)
  expect(host.read(REG.FDIRCTRL) & REG.FDIRCTRL.fields.INIT_DONE.mask).not.toBe(0)
  host.write(REG.FDIRCMD, 0x8841)
  expect(host.read(REG.FDIRCMD) & 3).toBe(0)
  host.write(REG.SECRXCTRL, 2)
  expect(host.read(REG.SECRXSTAT) & 1).toBe(1)
  host.write(REG.SECRXCTRL, 0)
  expect(host.read(REG.SECRXSTAT) & 1).toBe(0)
  // No PHY answers on MDIO.
  host.write(REG.MSCA, 0x40000000 | (3 << 26) | (1 << 16) | 2)
  expect(host.read(REG.MSCA) & REG.MSCA.fields.MDICMD.mask).toBe(0)
  expect(host.read(REG.MSRWD) >>> 16).toBe(0xffff)
  host.write(REG.TXDCTL, REG.TXDCTL.fields.SWFLSH.mask)
  expect(host.read(REG.TXDCTL)).toBe(0)
})

describe('strict mode reports', () => {
  const report = (action: () => unknown): string[] => {
    action()
    return host.breaches()
  }

  test.each<[string, () => unknown, RegExp]>([
    [
      'bits 15:12 of DTXMXSZRQ',
      () => host.write(REG.DTXMXSZRQ, 0xffff),
      /reserved bits of DTXMXSZRQ .*: 0xf000 \(82599 §8.2.3.9.1\)/,
    ],
    [
      'bit 31 of EIMC',
      () => host.write(REG.EIMC, 0xffffffff),
      /reserved bits of EIMC .*: 0x80000000 \(.*§8.2.3.5.4\)/,
    ],
    ['writes to read-only registers', () => host.write(REG.LINKS, 1), /write to LINKS/],
    ['addresses without register', () => host.device.registers.write(0x1ff00, 0), /where no register is/],
    [
      'what only the 82598 has',
      () => read(0x5a84),
      /read of IMIR, which the 82598 has and this card does not/,
    ],
    [
      'gaps between the registers of a queue where another card has something',
      () => [0x7200, 0x7204, 0x7214, 0x723c].forEach(read),
      /^read of DCA_TXCTRL, which the 82598 has and this card does not \(82599 §8.2.3\)$/,
    ],
    ['MTQC with the arbiter on', () => host.write(REG.MTQC, 2), /MTQC .*ARBDIS/],
    ['a transmit queue before DMATXCTL.TE', () => host.startTransmit(), /before DMATXCTL\.TE/],
    [
      'PTHRESH without HTHRESH',
      () => {
        host.initialise()
        host.write(REG.TXDCTL, REG.TXDCTL.fields.ENABLE.mask | 36)
      },
      /HTHRESH is 0/,
    ],
    [
      'SW_FW_SYNC without the semaphore',
      () => host.write(REG.SW_FW_SYNC, 1),
      /SW_FW_SYNC written without holding SWSM/,
    ],
  ])('%s', (_, action, expected) => {
    expect(report(action).join('\n')).toMatch(expected)
  })

  test('RDRXCTL as it is after reset', () => {
    host.acceptAll()
    host.startReceive()
    host.enableReceive()
    expect(host.breaches().filter((rule) => rule.includes('§8.2.3.8.8'))).toHaveLength(3)
  })

  test('FCTRL changed while receiving, but not the same value again', () => {
    host.initialise()
    host.acceptAll()
    host.startReceive()
    host.enableReceive()
    host.acceptAll()
    expect(host.breaches()).toEqual([])
    host.write(REG.FCTRL, 0)
    expect(host.breaches()).toEqual(['FCTRL changed while RXCTRL.RXEN is set (82599 §8.2.3.7.1)'])
  })

  test('a tail that catches up with the head: no descriptor would be left', () => {
    host.initialise()
    host.acceptAll()
    host.startReceive()
    host.enableReceive()
    host.waitForLink()
    expect(host.device.room()).toBe(63)
    expect(host.breaches()).toEqual([])
    host.write(REG.RDT, 0)
    host.poll()
    expect(host.device.room()).toBe(0)
    expect(host.breaches()).toEqual([
      "RDT caught up with RDH: one descriptor must stay the host's (82599 §7.1.9)",
    ])
  })

  test('a tail beyond the ring', () => {
    host.initialise()
    host.acceptAll()
    host.startReceive()
    host.enableReceive()
    host.waitForLink()
    host.write(REG.RDT, 64)
    expect(host.device.room()).toBe(0)
    expect(host.breaches().join()).toMatch(/RDT beyond the end of the ring/)
  })

  test('ring registers written while their queue runs, rings enabled with nothing, tails moved too early', () => {
    host.initialise()
    host.startReceive()
    host.write(REG.RDLEN, 2048)
    host.write(REG.RDT, 5, 1)
    host.write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask, 1)
    expect(host.breaches()).toEqual([
      'RDLEN written while its queue is enabled (82599 §8.2.3.8.3)',
      'RDT moved before the receive queue was enabled (82599 §4.6.7.1)',
      'receive queue enabled with a ring of length 0 (82599 §8.2.3.8.3)',
      'receive queue enabled before its base address was set (82599 §8.2.3.8.1)',
    ])
  })

  test('buffers of no size, once for each time they are set', () => {
    host.initialise()
    host.startReceive(64, { kib: 0 })
    expect(host.device.strict.breaches()).toEqual([
      { rule: 'SRRCTL.BSIZEPACKET is 0 (82599 §8.2.3.8.7)', count: 2 },
    ])
  })

  test('rings that are not multiples of 128 bytes, as far as the registers can hold them', () => {
    host.write(REG.RDLEN, 1000)
    expect(host.read(REG.RDLEN)).toBe(896)
    host.write(REG.RDBAL, 0x1040)
    expect(host.read(REG.RDBAL)).toBe(0x1000)
    expect(host.breaches()).toHaveLength(2)
  })

  test('transmit descriptors against the format', () => {
    host.initialise()
    host.startTransmit()
    host.waitForLink()
    const at = host.place(0, new Uint8Array(100))
    const [low, high] = [at % 2 ** 32, Math.floor(at / 2 ** 32)]
    host.describe(0, [low, high, 0x1b000064, 0])
    host.describe(1, [low, high, 0x2b100064, 100 << 14])
    host.describe(2, [low, high, 0x29300064, 100 << 14])
    host.describe(3, [low, high, 0x2f300064, 100 << 14])
    host.describe(4, [low, high, 0x2b300064, 99 << 14])
    host.write(REG.TDT, 5)
    host.poll()
    const all = host.breaches().join('\n')
    expect(all).toMatch(/reserved bits of a legacy transmit descriptor/)
    expect(all).toMatch(/of a reserved type/)
    expect(all).toMatch(/without IFCS/)
    expect(all).toMatch(/reserved bits of a transmit data descriptor/)
    expect(all).toMatch(/PAYLEN is not the size/)
    // What the card can't make sense of is dropped, the rest is sent, and every descriptor is done.
    expect(host.wire.sent.length).toBe(4)
    expect(host.read(REG.TDH)).toBe(5)
  })

  test('bit 12 of DCA_RXCTRL, but not where it is written back as the reset left it', () => {
    host.modify(REG.DCA_RXCTRL, 0, REG.DCA_RXCTRL.fields.DATA_WRITE_RO_EN.mask)
    expect([host.read(REG.DCA_RXCTRL), host.breaches()]).toEqual([0x9200, []])
    host.modify(REG.DCA_RXCTRL, 0, 0x1000)
    host.modify(REG.DCA_RXCTRL, 0x1000)
    expect(host.breaches()).toEqual(['bit 12 of DCA_RXCTRL set again (82599 §8.2.3.11.1)'])
  })

  test('nothing at all when it is off', () => {
    const lax = new Host({ strict: false })
    lax.write(REG.EIMC, 0xffffffff)
    expect(lax.breaches()).toEqual([])
  })

  test('counts a rule that is broken again and again', () => {
    for (let i = 0; i < 5; i++) host.write(REG.EIMC, 0xffffffff)
    expect(host.device.strict.breaches()).toEqual([
      { rule: 'reserved bits of EIMC written with ones: 0x80000000 (82599 §8.2.3.5.4)', count: 5 },
    ])
  })

  test('all reserved bits of a register that were ever written, in one line', () => {
    for (const value of [0x0002, 0x1001, 0x4000]) host.write(REG.DTXMXSZRQ, value)
    expect(host.device.strict.breaches()).toEqual([
      { rule: 'reserved bits of DTXMXSZRQ written with ones: 0x5000 (82599 §8.2.3.9.1)', count: 2 },
    ])
  })
})

test('addresses of the 82598 lead to the same registers', () => {
  host.device.registers.write(0x05818, 0x12340001)
  expect(host.read(REG.MRQC)).toBe(0x12340001)
  host.device.registers.write(0x02104, 0x02000004)
  expect(host.read(REG.SRRCTL, 1)).toBe(0x02000004)
  expect(Array.from(MAC)).toHaveLength(6)
})
