import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { frameOf, Host, runningHost } from './host.ts'

const { MASTER_DISABLE, LRST, RST } = REG.CTRL.fields
const { MASTER_ENABLE } = REG.STATUS.fields

test.each([
  ['RST', RST.mask],
  ['LRST', LRST.mask],
])('CTRL.%s ends the master disable that precedes it, and frames flow again', (_, reset) => {
  const host = runningHost()
  host.write(REG.CTRL, MASTER_DISABLE.mask)
  expect(host.read(REG.STATUS) & MASTER_ENABLE.mask).toBe(0)
  // Drivers add the reset bit to what the register holds.
  host.modify(REG.CTRL, reset)
  expect(host.read(REG.CTRL)).toBe(0)
  expect(host.read(REG.STATUS) & MASTER_ENABLE.mask).toBe(MASTER_ENABLE.mask)

  host.initialise()
  host.startTransmit()
  host.waitForLink()
  host.queueFrame(0, frameOf(60))
  host.write(REG.TDT, 1)
  host.poll()
  expect(host.wire.sent).toHaveLength(1)
})

test('master disable alone stops DMA and stays', () => {
  const host = new Host()
  host.initialise()
  host.startTransmit()
  host.waitForLink()
  host.write(REG.CTRL, MASTER_DISABLE.mask)
  host.queueFrame(0, frameOf(60))
  host.write(REG.TDT, 1)
  host.poll(5)
  expect(host.wire.sent).toHaveLength(0)
  expect(host.read(REG.CTRL) & MASTER_DISABLE.mask).toBe(MASTER_DISABLE.mask)
})
