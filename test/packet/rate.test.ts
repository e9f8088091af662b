import { Pacer } from '../../src/packet/pacer.ts'
import { averageBytes, packetsPerSecond, wireBits } from '../../src/packet/rate.ts'
import { IMIX_SIZES } from '../../src/packet/template.ts'

describe('packetsPerSecond', () => {
  test.each([
    ['1.5Mpps', 1_500_000],
    ['500kpps', 500_000],
    ['7pps', 7],
    ['.5kpps', 500],
  ])('%s whatever the size', (text, expected) => {
    expect(packetsPerSecond(text, 60, 10_000)).toBe(expected)
    expect(packetsPerSecond(text, 1514, 100_000)).toBe(expected)
  })

  test('line rate of 64-byte frames is 14.88 Mpps', () => {
    expect(packetsPerSecond('100%', 60, 10_000)).toBeCloseTo(14_880_952.38, 1)
    expect(packetsPerSecond('10Gbit', 60, 10_000)).toBeCloseTo(14_880_952.38, 1)
    expect(packetsPerSecond('10%', 1514, 10_000)).toBeCloseTo(81_274.38, 1)
    expect(packetsPerSecond('64kbit', 60, 10_000)).toBeCloseTo(95.24, 1)
    expect(packetsPerSecond('500Mbit', 60, 10_000)).toBe(packetsPerSecond('5%', 60, 10_000))
  })

  test('max is without a limit', () => {
    expect(packetsPerSecond('max', 60, 10_000)).toBe(Infinity)
  })

  test.each(['101%', '12Gbit', '20Mpps', '14.881Mpps', '10.001Gbps'])(
    '%s is more than 10 Gbit/s carry, whatever the unit',
    (text) => {
      expect(() => packetsPerSecond(text, 60, 10_000)).toThrow(
        `'${text}' is more than the link carries: 14.88 Mpps of 60 bytes at 10000 Mbit/s; ` +
          'give at most 100%, or max for as fast as it goes',
      )
    },
  )

  test('what fits depends on the size and on the link', () => {
    expect(packetsPerSecond('14.88Mpps', 60, 10_000)).toBe(14_880_000)
    expect(() => packetsPerSecond('14.88Mpps', 61, 10_000)).toThrow(/carries: 14.71 Mpps of 61 bytes/)
    expect(() => packetsPerSecond('5Gbit', 60, 1000)).toThrow(/at 1000 Mbit/)
  })

  test.each(['', '1', '0pps', 'fast'])('refuses %j', (text) => {
    expect(() => packetsPerSecond(text, 60, 10_000)).toThrow(
      expect.objectContaining({ code: 'IXY_ERR_USAGE' }),
    )
  })
})

test('a second of line rate is 10 Gbit on the wire', () => {
  expect(wireBits(14_880_952, 14_880_952 * 60)).toBeCloseTo(10e9, -4)
})

test('the average of the internet mix', () => {
  expect(averageBytes(IMIX_SIZES)).toBeCloseTo(349.83, 2)
})

/** Polls every `step` ms from `from` to `to`, sends what is due, and returns how much that was. */
function drive(pacer: Pacer, from: number, to: number, step: number, budget = Infinity): number {
  let sent = 0
  for (let i = 0; from + i * step <= to; i++) {
    const count = Math.min(budget, pacer.allowance(from + i * step))
    pacer.spend(count)
    sent += count
  }
  return sent
}

describe('Pacer', () => {
  test.each([
    [1000, 0.01],
    [100_000, 0.1],
    [1_000_000, 0.003],
    [333_333, 0.5],
  ])('%i packets per second, polled every %f ms', (rate, step) => {
    const sent = drive(new Pacer(rate), 1000, 6000, step)
    expect(Math.abs(sent - (rate * 5 + 1))).toBeLessThanOrEqual(2)
  })

  test('makes up for a stall, gently', () => {
    const pacer = new Pacer(100_000)
    drive(pacer, 0, 100, 0.05)
    const first = pacer.allowance(150)
    expect(first).toBeLessThanOrEqual(256)
    pacer.spend(first)
    // 5000 packets are late; twice the rate makes up for them within 50 ms.
    const soon = drive(pacer, 150.1, 170, 0.1)
    expect(soon).toBeLessThan(20 * 100 * 2.01)
    const later = drive(pacer, 170.1, 210, 0.1)
    expect(Math.abs(first + soon + later - 110 * 100)).toBeLessThanOrEqual(20)
  })

  test('forgets what is older than a second', () => {
    const pacer = new Pacer(1000)
    drive(pacer, 0, 100, 1)
    const sent = drive(pacer, 60_000, 70_000, 1)
    expect(Math.abs(sent - 11_000)).toBeLessThanOrEqual(2)
  })

  test('makes up for less, if it is to', () => {
    const pacer = new Pacer(100_000, 10)
    drive(pacer, 0, 100, 0.05)
    const sent = drive(pacer, 600, 700, 0.05)
    // 10 ms of the pause, and the 100 ms since.
    expect(Math.abs(sent - 11_000)).toBeLessThanOrEqual(10)
  })

  test('tells when the next packet is due', () => {
    const pacer = new Pacer(10)
    expect(pacer.next(5)).toBe(5)
    expect(pacer.allowance(5)).toBe(1)
    pacer.spend(1)
    const next = pacer.next(5)
    expect(next).toBeCloseTo(105)
    expect(pacer.allowance(next - 0.1)).toBe(0)
    expect(pacer.allowance(next)).toBe(1)
    expect(pacer.next(300)).toBe(300)
  })

  test('a wait until next() is never in vain', () => {
    const pacer = new Pacer(333.7)
    let now = 1000
    let inVain = 0
    for (let i = 0; i < 10_000; i++) {
      if (pacer.allowance(now) === 0) inVain++
      pacer.spend(pacer.allowance(now))
      now = pacer.next(now)
    }
    expect(inVain).toBe(0)
    expect(now).toBeCloseTo(1000 + 10_000 / 0.3337, 0)
  })

  test('begins when it is told to, before or after it is asked', () => {
    for (const asked of [900, 1000, 1050]) {
      const pacer = new Pacer(10)
      pacer.begin(1000)
      expect(pacer.allowance(asked) > 0).toBe(asked >= 1000)
      expect(pacer.next(asked)).toBeCloseTo(Math.max(1000, asked))
      expect(pacer.allowance(1060)).toBe(1)
      pacer.spend(1)
      expect(pacer.allowance(1099)).toBe(0)
      expect(pacer.allowance(1100)).toBe(1)
    }
  })

  test('several that begin one after the other are one', () => {
    const pacers = Array.from({ length: 4 }, (_, i) => {
      const pacer = new Pacer(10)
      pacer.begin(1000 + i * 25)
      return pacer
    })
    const sent: number[] = []
    for (let now = 995; now < 3000; now++) {
      pacers.forEach((pacer, i) => {
        if (pacer.allowance(now) < 1) return
        pacer.spend(1)
        sent.push(i)
        expect(now).toBe(1000 + (sent.length - 1) * 25)
      })
    }
    expect(sent).toEqual(Array.from({ length: 80 }, (_, i) => i % 4))
  })

  test('goes on at another rate', () => {
    const pacer = new Pacer(1000)
    drive(pacer, 0, 100, 1)
    pacer.change(10_000)
    expect(Math.abs(drive(pacer, 100.1, 1100, 0.1) - 10_000)).toBeLessThanOrEqual(2)
  })

  test('starts anew after a pause', () => {
    const pacer = new Pacer(1000)
    drive(pacer, 0, 100, 1)
    pacer.pause()
    expect(pacer.allowance(5000)).toBe(1)
  })
})
