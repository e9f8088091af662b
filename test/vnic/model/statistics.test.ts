import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { BAR0_BYTES, CardRegisters } from '../../../src/vnic/model/registers.ts'
import { Statistics } from '../../../src/vnic/model/statistics.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import type { VirtualCard } from '../../../src/vnic/model/virtual-card.ts'
import { Strict } from '../../../src/vnic/model/strict.ts'

test('totals outlive what the host reads and resets', () => {
  const registers = new CardRegisters(new ArrayBuffer(BAR0_BYTES), new Strict(true))
  const statistics = new Statistics(registers)
  statistics.add(REG.GPTC, 5)
  expect(registers.read(offsetOf(REG.GPTC))).toBe(5)
  expect(registers.read(offsetOf(REG.GPTC))).toBe(0)
  statistics.add(REG.GPTC, 2)
  statistics.reset()
  statistics.add(REG.GPTC, 1)
  expect(statistics.total(REG.GPTC)).toBe(8)
  expect(registers.read(offsetOf(REG.GPTC))).toBe(1)
})

test('the total of an array of counters is that of all its elements', () => {
  const registers = new CardRegisters(new ArrayBuffer(BAR0_BYTES), new Strict(true))
  const statistics = new Statistics(registers)
  statistics.add(REG.MPC, 3, 0)
  statistics.add(REG.MPC, 4, 7)
  expect(registers.read(offsetOf(REG.MPC, 7))).toBe(4)
  expect(statistics.total(REG.MPC)).toBe(7)
})

test('wide counters keep what sticks out of 32 bits', () => {
  const registers = new CardRegisters(new ArrayBuffer(BAR0_BYTES), new Strict(true))
  const statistics = new Statistics(registers)
  statistics.add(REG.GORCL, 2 ** 33 + 1)
  expect(registers.read(offsetOf(REG.GORCL))).toBe(1)
  expect(registers.read(offsetOf(REG.GORCH))).toBe(2)
  expect(statistics.total(REG.GORCL)).toBe(2 ** 33 + 1)
})

test('what a card has counted is named after what has counted it; PAUSE frames are none of the host', () => {
  const registers = new CardRegisters(new ArrayBuffer(BAR0_BYTES), new Strict(true))
  const statistics = new Statistics(registers)
  const counted = [REG.RXDGPC, REG.RXDGBCL, REG.TXDGPC, REG.TXDGBCL, REG.MPC, REG.QPRDC, REG.RUC, REG.ROC]
  counted.forEach((register, i) => statistics.add(register, 1 + i))
  statistics.addPause(REG.LXOFFTXC)
  const receive = { mac: { control: 9 }, filtered: 10, unheard: 11, forgotten: 12 }
  const card = { statistics, receive, transmit: { invalid: 13 } } as unknown as VirtualCard
  expect(totalsOf(card)).toEqual({
    rx: { packets: 1, bytes: 2 },
    tx: { packets: 3, bytes: 4 },
    dropped: {
      ...{ missed: 5, no_descriptor: 6, undersize: 7, oversize: 8, mac_control: 9, filtered: 10 },
      ...{ not_listening: 11, rx_buffered: 12, tx_invalid: 13 },
    },
  })
})
