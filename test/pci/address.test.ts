import fc from 'fast-check'
import { formatDevice, parseDevice } from '../../src/pci/address.ts'
import { identify, requireSupported } from '../../src/pci/device-ids.ts'

describe('device arguments', () => {
  test.each([
    ['0000:03:00.0', { kind: 'pci', address: '0000:03:00.0' }],
    ['03:00.1', { kind: 'pci', address: '0000:03:00.1' }],
    ['0000:AF:1f.7', { kind: 'pci', address: '0000:af:1f.7' }],
    ['10000:e1:00.0', { kind: 'pci', address: '10000:e1:00.0' }],
    ['vfio-user:/run/a.sock', { kind: 'vfio-user', socket: '/run/a.sock' }],
    ['vfio-user:relative:with colon', { kind: 'vfio-user', socket: 'relative:with colon' }],
    ['virtual:gen', { kind: 'virtual', wire: 'gen' }],
    ['virtual:tap=t0,fault=drop=0.1', { kind: 'virtual', wire: 'tap=t0,fault=drop=0.1' }],
  ])('%s', (text, device) => {
    expect(parseDevice(text)).toEqual(device)
    expect(parseDevice(formatDevice(parseDevice(text)))).toEqual(device)
  })

  test.each([
    '',
    'eth0',
    '03:00',
    '03:00.8',
    '03:20.0',
    '3:00.0',
    '0000:03:00.0 ',
    '000:03:00.0',
    'vfio-user:',
    'virtual:',
    'virtual',
    'g3:00.0',
  ])('%j is refused with what to write instead', (text) => {
    expect(() => parseDevice(text)).toThrow(
      expect.objectContaining({ code: 'IXY_ERR_USAGE', fix: expect.stringMatching(/^use /) as string }),
    )
  })

  test('whatever is written, the answer is a device or a usage error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(parseDevice(formatDevice(parseDevice(text)))).toEqual(parseDevice(text))
        } catch (error) {
          expect(error).toMatchObject({ code: 'IXY_ERR_USAGE' })
        }
      }),
    )
  })
})

describe('device ids', () => {
  test.each([
    [0x10fb, '82599', 'Intel 82599ES 10GbE SFP+'],
    [0x154d, 'X520', 'Intel X520 10GbE SFP+'],
    [0x1528, 'X540', 'Intel X540-AT2 10GBASE-T'],
    [0x1563, 'X550', 'Intel X550T 10GBASE-T'],
    [0x15ac, 'X552', 'Intel X552 10GbE SFP+'],
  ])('%x is known', (id, family, model) => {
    expect(identify(0x8086, id)).toEqual({ family, model })
    requireSupported('x', { vendorId: 0x8086, deviceId: id, classCode: 0x0200 }, false)
  })

  test.each([
    ['the 82598', 0x8086, 0x10b6],
    ['a virtual function', 0x8086, 0x10ed],
    ['the X553', 0x8086, 0x15c4],
  ])('%s is unknown, and taken only with force', (_name, vendorId, deviceId) => {
    const ids = { vendorId, deviceId, classCode: 0x0200 }
    expect(identify(vendorId, deviceId).family).toBe('unknown')
    const unsupported = expect.objectContaining({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' })
    expect(() => requireSupported('0000:01:00.0', ids, false)).toThrow(unsupported)
    requireSupported('0000:01:00.0', ids, true)
    expect(() => requireSupported('0000:01:00.0', { ...ids, classCode: 0x0108 }, true)).toThrow(unsupported)
  })

  test('another vendor’s card is never taken, not even with force', () => {
    const ids = { vendorId: 0x1af4, deviceId: 0x10fb, classCode: 0x0200 }
    for (const force of [false, true]) {
      expect(() => requireSupported('0000:01:00.0', ids, force)).toThrow(/not made by Intel \(id 1af4:10fb\)/)
    }
  })
})
