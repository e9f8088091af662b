import fc from 'fast-check'
import { formatIpv4, isIpv4Host, parseIpv4, parseIpv4Prefix } from '../../src/packet/ipv4.ts'
import { formatIpv6, parseIpv6 } from '../../src/packet/ipv6.ts'
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
  test('are signed numbers in network order', () => {
    expect(parseIpv4('10.0.0.1')).toBe(0x0a000001)
    expect(parseIpv4('255.255.255.255')).toBe(-1)
    expect(formatIpv4(0xc0a80a14)).toBe('192.168.10.20')
  })

  test.each(['', '10.0.0', '10.0.0.256', '10.0.0.1.2', '10.0.0.x', ' 10.0.0.1', '10.0.0.-1'])(
    'refuses %j',
    (text) => {
      expect(() => parseIpv4(text)).toThrow(usage)
    },
  )

  test('come back from their text', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        (ip) => parseIpv4(formatIpv4(ip)) === ip && formatIpv4(ip >>> 0) === formatIpv4(ip),
      ),
    )
  })
})

test('the prefix of an address', () => {
  expect(parseIpv4Prefix('200.0.1.1/24')).toEqual({
    address: parseIpv4('200.0.1.1'),
    network: parseIpv4('200.0.1.0'),
    mask: parseIpv4('255.255.255.0'),
  })
  expect(parseIpv4Prefix('10.0.1.1/0')).toMatchObject({ network: 0, mask: 0 })
  expect(parseIpv4Prefix('10.0.1.1/32').mask).toBe(-1)
  for (const wrong of ['10.0.1.1', '10.0.1.1/33', '10.0.1/24', '/24', '10.0.1.1/', '10.0.1.1/-1'])
    expect(() => parseIpv4Prefix(wrong)).toThrow(usage)
})

test('addresses of hosts', () => {
  for (const host of ['1.0.0.1', '10.0.0.1', '126.255.255.255', '128.0.0.1', '223.255.255.255'])
    expect(isIpv4Host(parseIpv4(host))).toBe(true)
  for (const other of ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255'])
    expect(isIpv4Host(parseIpv4(other))).toBe(false)
})

describe('IPv6 addresses', () => {
  test.each([
    ['::', '::', '00'.repeat(16)],
    ['::1', '::1', `${'00'.repeat(15)}01`],
    ['fe80::', 'fe80::', `fe80${'00'.repeat(14)}`],
    ['FD00:0:0:1::ab', 'fd00:0:0:1::ab', 'fd0000000000000100000000000000ab'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:10.0.0.1', '::ffff:a00:1', '00000000000000000000ffff0a000001'],
  ])('%s', (text, short, bytes) => {
    expect(Buffer.from(parseIpv6(text)).toString('hex')).toBe(bytes)
    expect(formatIpv6(Buffer.from(`ee${bytes}`, 'hex'), 1)).toBe(short)
  })

  test.each(['', ':', '10.0.0.1', 'fe80::1%eth0', '1::2::3', '12345::', '::1]/x['])('not %p', (text) => {
    expect(() => parseIpv6(text)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
  })

  test('any is read as it was written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
        expect(parseIpv6(formatIpv6(address))).toEqual(address)
      }),
    )
    expect(() => formatIpv6(new Uint8Array(16), 1)).toThrow(RangeError)
  })
})
