import { Chalk } from 'chalk'
import { nicObject, nicTable } from '../../src/cli/commands/devices.ts'
import { IxyError } from '../../src/errors.ts'
import type { NicInfo } from '../../src/pci/nics.ts'
import { requireEvents } from '../events.ts'

const free: NicInfo = {
  address: '0000:03:00.0',
  vendorId: 0x8086,
  deviceId: 0x10fb,
  model: '82599ES 10GbE SFP+',
  family: '82599',
  driver: null,
  interfaces: [],
  linkMbit: null,
  numaNode: 1,
  iommuGroup: '14',
  access: 'vfio',
  obstacle: null,
}
const used: NicInfo = {
  ...free,
  address: '0000:03:00.1',
  driver: 'ixgbe',
  interfaces: ['enp3s0f1'],
  linkMbit: 10_000,
  numaNode: -1,
  iommuGroup: null,
  access: 'sysfs',
  obstacle: new IxyError('IXY_ERR_DEVICE_IN_USE', 'enp3s0f1 is up', 'take it down'),
}

test('the table says of each NIC whether it can be used, or why not', () => {
  expect(nicTable([free, { ...used, linkMbit: 0 }], new Chalk({ level: 0 }))).toEqual([
    'ADDRESS       MODEL               DRIVER  INTERFACE  LINK  NUMA  IOMMU  USABLE',
    '0000:03:00.0  82599ES 10GbE SFP+  -       -          -     1     14     yes, by vfio',
    '0000:03:00.1  82599ES 10GbE SFP+  ixgbe   enp3s0f1   down  -     -      no: enp3s0f1 is up; take it down',
  ])
  expect(nicTable([used], new Chalk({ level: 0 }))[1]).toContain('  10000 Mbit/s  ')
})

test('without a NIC there is no table', () => {
  expect(nicTable([], new Chalk({ level: 0 }))).toEqual([])
})

test('as JSON', () => {
  requireEvents(`${nicObject(free)}\n${nicObject(used)}\n`)
  expect(JSON.parse(nicObject(free))).toMatchObject({
    event: 'device',
    address: '0000:03:00.0',
    driver: null,
    iommuGroup: '14',
    usable: true,
    reason: null,
  })
  expect(JSON.parse(nicObject(used))).toMatchObject({
    usable: false,
    reason: { code: 'IXY_ERR_DEVICE_IN_USE', message: 'enp3s0f1 is up; take it down' },
  })
})
