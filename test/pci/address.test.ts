import fc from 'fast-check'
import { formatDevice, parseDevice } from '../../src/pci/address.ts'

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
