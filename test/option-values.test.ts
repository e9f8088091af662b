import fc from 'fast-check'
import { IxyError } from '../src/errors.ts'
import {
  byteSize,
  count,
  cpuList,
  megapackets,
  ringSize,
  seconds,
  share,
  wholeNumber,
} from '../src/option-values.ts'

function refusal(read: () => unknown): IxyError {
  try {
    read()
  } catch (error) {
    if (error instanceof IxyError) return error
    throw error
  }
  throw new Error('was accepted')
}

describe('wholeNumber', () => {
  const read = wholeNumber('--batch-size', 1, 4095)

  test.each([
    '0',
    '-1',
    '1.5',
    'NaN',
    'Infinity',
    '',
    ' 1',
    '1 ',
    '0x10',
    '1e3',
    '4096',
    '99999999999999999999',
  ])('refuses %j and says what is allowed', (text) => {
    const error = refusal(() => read(text))
    expect(error.code).toBe('IXY_ERR_USAGE')
    expect(error.message).toBe(`--batch-size ${text} is not valid; give a whole number from 1 to 4095`)
  })

  test('takes every whole number in its range', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 4095 }), (n) => read(String(n)) === n))
  })
})

test('readers of quantities name their option', () => {
  expect(seconds('--interval', 0.01, 1000)('100ms')).toBe(0.1)
  expect(refusal(() => seconds('--interval', 0.01, 1000)('1ms')).message).toBe(
    '--interval 1ms is not valid; give a time from 10ms to 1000s, as in 10s, 500ms, 2m or 1h',
  )
  expect(count('--count', 1, 1e6)('10k')).toBe(10_000)
  expect(refusal(() => count('--count', 1, 1e6)('2M')).message).toMatch(
    /^--count 2M is not valid; give a whole/,
  )
  expect(byteSize('--size', 60, 9014)('9kB')).toBe(9000)
  expect(refusal(() => byteSize('--size', 60, 9014)('59')).message).toMatch(/^--size 59 is not valid/)
  expect(share('--expect-loss')('1%')).toBe(0.01)
  expect(refusal(() => share('--expect-loss')('101%')).message).toMatch(/^--expect-loss 101% is not valid/)
  expect(megapackets('--expect-mpps')('100kpps')).toBe(0.1)
  expect(refusal(() => megapackets('--expect-mpps')('1Gbit')).message).toMatch(
    /^--expect-mpps 1Gbit is not valid/,
  )
})

describe('ringSize', () => {
  const read = ringSize({ min: 64, max: 4096 })

  test('takes exactly the powers of two from 64 to 4096', () => {
    const accepted: number[] = []
    for (let n = 0; n <= 9000; n++) {
      try {
        accepted.push(read(String(n)))
      } catch {
        // Refused; the message is checked below.
      }
    }
    expect(accepted).toEqual([64, 128, 256, 512, 1024, 2048, 4096])
  })

  test('says what is allowed', () => {
    const error = refusal(() => read('500'))
    expect(error.exitCode).toBe(2)
    expect(error.message).toBe(
      '--ring-size 500 is not valid; give a power of two from 64 to 4096: 64, 128, 256, 512, 1024, 2048 or 4096',
    )
  })
})

describe('cpuList', () => {
  test.each([
    ['2,3', [2, 3]],
    ['2-5', [2, 3, 4, 5]],
    ['7,0-1', [7, 0, 1]],
  ])('reads %s', (text, cpus) => {
    expect(cpuList(text)).toEqual(cpus)
  })

  test.each(['', ',', '1,', '5-2', '-1', 'a', '1-', '1-2-3', '5000'])('refuses %j', (text) => {
    expect(refusal(() => cpuList(text)).code).toBe('IXY_ERR_USAGE')
  })

  test('refuses a CPU named twice', () => {
    expect(refusal(() => cpuList('1,0-2')).message).toMatch(/names a CPU twice/)
  })
})
