import { ixgbe } from '../../../src/driver/ixgbe/driver.ts'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Host, TestWire } from '../../vnic/model/host.ts'
import { ModelTransport } from './model-transport.ts'

test('names registers, decodes fields, and reads nothing that reading changes', () => {
  const host = new Host()
  host.write(REG.RDLEN, 8192, 3)
  const read: number[] = []
  const transport = new ModelTransport(new TestWire())
  const bar = {
    ...transport.bar0,
    read32: (offset: number) => {
      read.push(offset)
      return host.device.registers.read(offset)
    },
  }
  const dump = ixgbe.dump({ name: 'virtual:test', config: transport.config, bar: () => bar })
  transport.release()
  const entry = (name: string): unknown => dump.find((one) => one.name === name)
  expect(entry('RDLEN[3]')).toMatchObject({ offset: 0x10c8, value: 8192, fields: { LEN: 8192 } })
  expect(entry('RDLEN[4]')).toBeUndefined()
  expect(entry('EEC')).toMatchObject({ fields: { PRES: 1, AUTO_RD: 1 } })
  for (const register of [REG.GPRC, REG.EICR, REG.SWSM, REG.EIMC]) {
    expect(entry(register.name)).toMatchObject({ value: null })
    expect(read).not.toContain(offsetOf(register))
  }
})
