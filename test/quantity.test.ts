import fc from 'fast-check'
import { IxyError } from '../src/errors.ts'
import { byteSize, count, megapackets, rate, seconds, share, wholeNumber } from '../src/quantity.ts'

function refusal(read: () => unknown): string {
  try {
    read()
  } catch (error) {
    if (error instanceof IxyError && error.code === 'IXY_ERR_USAGE') return error.message
    throw error
  }
  throw new Error('was accepted')
}

const NONSENSE = [
  '',
  '-1',
  'NaN',
  'Infinity',
  '.',
  '1,5',
  ' 1',
  '1 ',
  '0x10',
  '1e',
  '1x',
  '1kk',
  '1constructor',
]

describe('times', () => {
  const read = (text: string): number => seconds('--duration ', text, 0.001, 86_400)

  test.each([
    ['1', 1],
    ['.25', 0.25],
    ['2.', 2],
    ['1s', 1],
    ['500ms', 0.5],
    ['1500us', 0.0015],
    ['1500µs', 0.0015],
    ['2m', 120],
    ['2min', 120],
    ['1h', 3600],
    ['1H', 3600],
    ['1e1s', 10],
  ])('%s', (text, expected) => {
    expect(read(text)).toBeCloseTo(expected, 9)
  })

  test.each([...NONSENSE, '0', '1us', '25h', '1d', '1k', '1%'])('refuses %j', (text) => {
    expect(refusal(() => read(text))).toBe(
      `--duration ${text} is not valid; give a time from 1ms to 86400s, as in 10s, 500ms, 2m or 1h`,
    )
  })
})

describe('counts', () => {
  const read = (text: string): number => count('count=', text, 1, Number.MAX_SAFE_INTEGER)

  test.each([
    ['1', 1],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['1k', 1000],
    ['1K', 1000],
    ['1M', 1e6],
    ['1m', 1e6],
    ['1e6', 1e6],
    ['1.1k', 1100],
    ['2G', 2e9],
  ])('%s', (text, expected) => {
    expect(read(text)).toBe(expected)
  })

  test.each([...NONSENSE, '0', '1.5', '1.0005k', '9007199254740993', '1e99', '1s'])('refuses %j', (text) => {
    expect(refusal(() => read(text))).toMatch(
      /^count=.* is not valid; give a whole number from 1 to 9007199254740991,/,
    )
  })

  test('are exact for every number and its thousands', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), (n) => {
        expect([read(String(n)), read(`${n}k`), read(`${n / 1000}k`)]).toEqual([n, n * 1000, n])
      }),
    )
  })
})

test.each([
  ['60', 60],
  ['60B', 60],
  ['9k', 9000],
  ['9kB', 9000],
  ['9KiB', 9216],
  ['1MiB', 2 ** 20],
])('%s are %i bytes', (text, expected) => {
  expect(byteSize('--size ', text, 60, 2 ** 20)).toBe(expected)
})

describe('shares', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['0.01', 0.01],
    ['1e-2', 0.01],
    ['1%', 0.01],
    ['100%', 1],
  ])('%s', (text, expected) => {
    expect(share('drop=', text)).toBeCloseTo(expected, 12)
  })

  test.each([...NONSENSE, '1.1', '101%', '1k'])('refuses %j', (text) => {
    expect(refusal(() => share('drop=', text))).toBe(
      `drop=${text} is not valid; give a share from 0 to 1, or from 0% to 100%`,
    )
  })
})

describe('rates', () => {
  test.each([
    ['1.5Mpps', 1.5e6, 'packets'],
    ['5mpps', 5e6, 'packets'],
    ['500kpps', 5e5, 'packets'],
    ['7pps', 7, 'packets'],
    ['1e6pps', 1e6, 'packets'],
    ['1Gbps', 1e9, 'bits'],
    ['1gbit', 1e9, 'bits'],
    ['1GBit', 1e9, 'bits'],
    ['1GBIT', 1e9, 'bits'],
    ['100Mbit/s', 1e8, 'bits'],
    ['64kbits', 64e3, 'bits'],
    ['10%', 0.1, 'link'],
    ['max', Infinity, 'max'],
    ['MAX', Infinity, 'max'],
  ])('%s', (text, value, of) => {
    expect(rate(text)).toEqual({ value, of })
  })

  test.each([...NONSENSE, '1', '0pps', '0%', '1 Mpps', 'Mpps', '10%bit', '1Tbit', '1mm', '1s', 'maximum'])(
    'refuses %j',
    (text) => {
      expect(refusal(() => rate(text))).toBe(
        `'${text}' is not a packet rate; write it as in 1.5Mpps, 500kpps, 2Gbit, 10% or max`,
      )
    },
  )

  test.each(['1GBps', '1GBPS'])('%s may be bytes', (text) => {
    expect(refusal(() => rate(text))).toBe(`'${text}' is not a packet rate; write bits, as in 2Gbit`)
  })

  test.each([
    ['5', 5],
    ['0', 0],
    ['0.5', 0.5],
    ['5Mpps', 5],
    ['100kpps', 0.1],
  ])('%s is %f Mpps', (text, expected) => {
    expect(megapackets('--expect-mpps ', text)).toBeCloseTo(expected, 12)
  })

  test.each([...NONSENSE, '1001', '1Gbit', '10%', 'max', '5M'])('refuses %j as Mpps', (text) => {
    expect(refusal(() => megapackets('--expect-mpps ', text))).toMatch(
      /is not valid; give million packets per second/,
    )
  })
})

test.each([...NONSENSE, '1e3', '1k', '4096', '99999999999999999999'])(
  '%j is no plain number up to 4095',
  (text) => {
    expect(refusal(() => wholeNumber('--vlan ', text, 1, 4095))).toBe(
      `--vlan ${text} is not valid; give a whole number from 1 to 4095`,
    )
  },
)
