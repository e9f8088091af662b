import { type Limits, type PciDriver } from '../../src/driver/driver.ts'
import { ixgbe } from '../../src/driver/ixgbe/driver.ts'
import { attach } from '../../src/driver/queue-registry.ts'
import { DRIVERS, DriverRegistry, requireWithinLimits } from '../../src/driver/registry.ts'
import { virtio } from '../../src/driver/virtio/driver.ts'
import { PacketMemory } from '../../src/memory/packets.ts'
import { parseDevice } from '../../src/pci/address.ts'

const ETHERNET = 0x0200
const unsupported = expect.objectContaining({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' })
const intel = (deviceId: number) => ({ vendorId: 0x8086, deviceId, classCode: ETHERNET })

test('a batch is as large as the most demanding device likes, and smaller than a ring', () => {
  const batch = (ringSize: number, ...devices: string[]): number =>
    DRIVERS.usualBatch(devices.map(parseDevice), ringSize)
  expect(batch(512, '0000:03:00.0', 'virtual:gen')).toBe(32)
  expect(batch(512, '0000:03:00.0', 'tap:a')).toBe(128)
  expect(batch(64, 'tap:a', 'tap:b')).toBe(63)
})

describe('device ids', () => {
  test.each([
    [0x10fb, '82599', 'Intel 82599ES 10GbE SFP+'],
    [0x154d, 'X520', 'Intel X520 10GbE SFP+'],
    [0x1528, 'X540', 'Intel X540-AT2 10GBASE-T'],
    [0x1563, 'X550', 'Intel X550T 10GBASE-T'],
    [0x15ac, 'X552', 'Intel X552 10GbE SFP+'],
  ])('%x is known', (id, family, model) => {
    expect(DRIVERS.identify(intel(id))).toEqual({ family, model })
    expect(DRIVERS.driverOf('x', intel(id), false)).toEqual({ driver: ixgbe, model: { family, model } })
  })

  test.each([
    ['the 82598', 0x10b6],
    ['a virtual function', 0x10ed],
    ['the X553', 0x15c4],
  ])('%s is unknown, and taken only with force', (_name, deviceId) => {
    const ids = intel(deviceId)
    expect(DRIVERS.identify(ids).family).toBe('unknown')
    expect(() => DRIVERS.requireSupported('0000:01:00.0', ids, false)).toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_DEVICE_UNSUPPORTED',
        fix: 'choose an Intel 82599, X520, X540, X550 or X552, or a Red Hat virtio-net, or try it at your own risk with --force',
      }),
    )
    expect(DRIVERS.driverOf('0000:01:00.0', ids, true)).toEqual({
      driver: ixgbe,
      model: { family: 'unknown', model: `device 8086:${deviceId.toString(16)}` },
    })
    const disk = { ...ids, classCode: 0x0108 }
    expect(() => DRIVERS.requireSupported('0000:01:00.0', disk, true)).toThrow(unsupported)
  })

  test('another vendor’s card is never taken, not even with force', () => {
    const ids = { vendorId: 0x10ec, deviceId: 0x10fb, classCode: ETHERNET }
    for (const force of [false, true]) {
      expect(() => DRIVERS.requireSupported('0000:01:00.0', ids, force)).toThrow(
        expect.objectContaining({
          message: expect.stringMatching(/not made by Intel or Red Hat \(id 10ec:10fb\)/),
          fix: 'choose an Intel 82599, X520, X540, X550 or X552, or a Red Hat virtio-net',
        }),
      )
    }
  })

  test.each([
    [0x1000, 'virtio-net (transitional)'],
    [0x1041, 'virtio-net'],
  ])('virtio %x is known', (deviceId, model) => {
    const ids = { vendorId: 0x1af4, deviceId, classCode: ETHERNET }
    expect(DRIVERS.driverOf('x', ids, false)).toEqual({
      driver: virtio,
      model: { family: 'virtio-net', model },
    })
    expect(() => DRIVERS.requireSupported('x', { ...ids, classCode: 0x0100 }, true)).toThrow(unsupported)
  })
})

describe('with a second driver', () => {
  const limits: Limits = { queues: 1, interruptQueues: 0, ringSize: { min: 256, max: 1024 }, mtu: 1500 }
  const other: PciDriver = {
    ...ixgbe,
    name: 'other',
    vendor: { id: 0x1af4, name: 'Red Hat' },
    families: ['virtio-net'],
    limits,
    identify: ({ vendorId, deviceId }) =>
      vendorId === 0x1af4 && deviceId === 0x1041 ? { model: 'virtio-net', family: 'virtio-net' } : null,
  }
  const drivers = new DriverRegistry([ixgbe, other])

  test('each takes its own, and refusals name what all of them know', () => {
    const ids = { vendorId: 0x1af4, deviceId: 0x1041, classCode: ETHERNET }
    expect(drivers.driverOf('x', ids, false).driver).toBe(other)
    expect(drivers.driverOf('x', intel(0x10fb), false).driver).toBe(ixgbe)
    expect(() => drivers.driverOf('x', { ...ids, vendorId: 0x10ec }, false)).toThrow(
      'x is not made by Intel or Red Hat (id 10ec:1041); ' +
        'choose an Intel 82599, X520, X540, X550 or X552, or a Red Hat virtio-net',
    )
  })

  test('options may be what one of them can do', () => {
    expect(drivers.limits).toEqual({
      queues: 16,
      interruptQueues: 16,
      ringSize: { min: 64, max: 4096 },
      mtu: 9000,
    })
  })

  test.each([
    [{ queues: 2 }, /^x has 1 queue pair; use --queues 1$/],
    [{ interrupts: true }, /^x has no interrupts; use --mode poll$/],
    [{ ringSize: 128 }, /^x has rings of 256 to 1024 descriptors; use --ring-size 256$/],
    [{ ringSize: 2048 }, /^x has rings of 256 to 1024 descriptors; use --ring-size 1024$/],
    [{ mtu: 9000 }, /^x takes packets of up to 1500 bytes; use --mtu 1500$/],
  ])('what its device can not do is refused by option: %j', (more, message) => {
    const wanted = { queues: 1, ringSize: 512, interrupts: false, mtu: 1500, ...more }
    expect(() => requireWithinLimits('x', other, wanted)).toThrow(message)
    requireWithinLimits('x', ixgbe, wanted)
  })
})

test('a worker refuses the queues of a driver it does not have', () => {
  const spec = {
    address: 0n,
    pageIovas: new Float64Array([0]),
    pageBytes: 2 ** 20,
    pageOffset: 0,
    bufferShift: 11,
    poolShift: 2,
    pools: 1,
  }
  const memory = new PacketMemory(spec, new ArrayBuffer(4 << 11))
  for (const driver of ['nobody', 'constructor', '__proto__'])
    expect(() => attach({ driver, interrupt: null }, memory, 0)).toThrow(
      `no worker knows the driver ${driver}`,
    )
})
