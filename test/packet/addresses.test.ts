import fc from 'fast-check'
import { formatIpv4, parseIpv4 } from '../../src/packet/ipv4.ts'
import { formatMac, parseMac, parseUnicastMac } from '../../src/packet/mac.ts'

const usage = expect.objectContaining({ code: 'IXY_ERR_USAGE' })

describe('MAC addresses', () => {
  test('are read with colons, dashes and capitals', () => {
    expect([...parseMac('52:54:00:aB:cD:01')]).toEqual([0x52, 0x54, 0, 0xab, 0xcd, 1])
    expect([...parseMac('52-54-00-ab-cd-01')]).toEqual([0x52, 0x54, 0, 0xab, 0xcd, 1])
  })

  test.each([
    '',
    '52:54:00:ab:cd',
    '52:54:00:ab:cd:0',
    '52:54:00:ab:cd:01:02',
    '52:54-00:ab:cd:01',
    'g2:54:00:ab:cd:01',
  ])('refuses %j', (text) => {
    expect(() => parseMac(text)).toThrow(usage)
  })

  test.each(['01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00'])(
    'of one interface: %s is none',
    (text) => {
      expect(() => parseUnicastMac(text)).toThrow(usage)
      expect([...parseUnicastMac('02:00:00:00:00:00')]).toEqual([2, 0, 0, 0, 0, 0])
    },
  )

  test('come back from their text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        expect([...parseMac(formatMac(mac))]).toEqual([...mac])
      }),
    )
  })

  test('are not read beyond the memory', () => {
    expect(() => formatMac(new Uint8Array(7), 2)).toThrow(RangeError)
  })
})

describe('IPv4 addresses', () => {
  test('are numbers in network order', () => {
    expect(parseIpv4('10.0.0.1')).toBe(0x0a000001)
    expect(parseIpv4('255.255.255.255')).toBe(0xffffffff)
    expect(formatIpv4(0xc0a80a14)).toBe('192.168.10.20')
  })

  test.each(['', '10.0.0', '10.0.0.256', '10.0.0.1.2', '10.0.0.x', ' 10.0.0.1', '10.0.0.-1'])(
    'refuses %j',
    (text) => {
      expect(() => parseIpv4(text)).toThrow(usage)
    },
  )

  test('come back from their text', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), (ip) => parseIpv4(formatIpv4(ip)) === ip))
  })
})
