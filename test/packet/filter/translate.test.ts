/** Filters as functions, beside libpcap's interpreter of the same programs. */
import { IxyError } from '../../../src/errors.ts'
import { compileFilter } from '../../../src/linux/pcap-library.ts'
import type { FilterInstruction, FilterProgram } from '../../../src/packet/filter/program.ts'
import { makeFilter, sourceOf } from '../../../src/packet/filter/translate.ts'
import { describeIf, missing } from '../../skip.ts'
import { type SeenPacket, Traffic, traffic } from '../traffic.ts'
import { EXPRESSIONS } from './expressions.ts'
import { Offline } from './offline.ts'

/** Where packets lie in memory: not at its beginning, and something else is around them. */
const OFFSET = 77

const plain = (...rows: readonly (readonly [number, number, number, number])[]): FilterProgram => ({
  expression: 'by hand',
  instructions: rows.map(([code, jt, jf, k]) => ({ code, jt, jf, k })),
})

const memory = new Uint8Array(70_000).fill(0xee)

/** The first packet about which the two don't agree; and how many match. */
function compare(
  offline: Offline,
  program: FilterProgram,
  packets: readonly SeenPacket[],
): { wrong: SeenPacket | undefined; matching: number } {
  const filter = makeFilter(program)
  offline.use(program)
  let matching = 0
  const wrong = packets.find((packet) => {
    const { data, wireLength } = packet
    memory.set(data, OFFSET)
    const matches = filter(memory, OFFSET, data.length, wireLength)
    if (matches) matching++
    return matches !== offline.matches(packet)
  })
  return { wrong, matching }
}

describeIf(missing({ libpcap: true }), 'filters and libpcap', () => {
  let offline: Offline
  beforeAll(() => {
    offline = new Offline()
  })

  test('agree about every packet, whatever the filter', () => {
    const packets = traffic(1, 1000)
    let some = 0
    for (const expression of EXPRESSIONS) {
      const { wrong, matching } = compare(offline, compileFilter(expression), packets)
      if (wrong !== undefined) expect({ expression, wrong }).toBeUndefined()
      if (matching > 0 && matching < packets.length) some++
    }
    // Most of them have a choice to make here.
    expect(EXPRESSIONS.length).toBeGreaterThan(300)
    expect(some).toBeGreaterThan(0.9 * EXPRESSIONS.length)
  })

  test('agree about programs of any instructions', () => {
    // One of them cut at each place.
    const [{ data }] = traffic(2, 1)
    const cut = Array.from({ length: 70 }, (_, bytes) => ({ data: data.subarray(0, bytes), wireLength: 100 }))
    const packets = [...cut, ...traffic(3, 20)]
    for (let seed = 1; seed <= 400; seed++) {
      const program = randomProgram(seed)
      const { wrong } = compare(offline, program, packets)
      if (wrong !== undefined) expect({ seed, source: sourceOf(program), wrong }).toBeUndefined()
    }
  })

  test('agree about a program with more places to jump to than blocks go into each other', () => {
    const hosts = Array.from({ length: 250 }, (_, i) => `(udp port ${i + 1} and ip[8] = ${i % 256})`)
    const program = compileFilter(`${hosts.join(' or ')} or host 10.0.0.1`)
    expect(sourceOf(program)).toContain('switch')
    const { wrong, matching } = compare(offline, program, traffic(4, 500))
    expect(wrong).toBeUndefined()
    expect(matching).toBeGreaterThan(20)
  })

  test('a chain of headers that leads back to itself has an end', () => {
    const program = compileFilter('ip6 protochain 17')
    // An authentication header of no length that names itself as the next.
    const frame = new Uint8Array(200)
    frame.set([0x86, 0xdd, 0x60], 12)
    frame[20] = 51
    frame.fill(51, 54)
    expect(makeFilter(program)(frame, 0, frame.length, frame.length)).toBe(false)
  })
})

test('a program that is none is refused', () => {
  const ret = [6, 0, 0, 1] as const
  const bad: readonly (readonly [FilterProgram, RegExp])[] = [
    [plain(), /there is none/],
    [plain([0x20, 0, 0, 0]), /leads out/],
    [plain([0x15, 1, 0, 0], ret), /leads out/],
    [plain([0x05, 0, 0, 0xffff_fffe], ret), /leads out/],
    [plain([0x02, 0, 0, 16], ret), /no scratch memory at 16/],
    [plain([0x61, 0, 0, 99], ret), /no scratch memory at 99/],
    [plain([0x34, 0, 0, 0], ret), /division by 0/],
    [plain([0x94, 0, 0, 0], ret), /division by 0/],
    [plain([0x64, 0, 0, 32], ret), /shift by 32/],
    [plain([0xb0, 0, 0, 0], ret), /unknown opcode 0xb0/],
    [plain([0x8c, 0, 0, 0], ret), /unknown opcode/],
    [plain([0x18, 0, 0, 0], ret), /unknown opcode/],
    [plain([0x20, 0, 0, 1.5], ret), /no whole numbers/],
  ]
  for (const [program, message] of bad) {
    expect(() => makeFilter(program)).toThrow(IxyError)
    expect(() => makeFilter(program)).toThrow(message)
  }
})

test('what one load has found to be there is there for the next, on that way only', () => {
  const matches = (program: FilterProgram, bytes: number): boolean =>
    makeFilter(program)(new Uint8Array(64).fill(1), 0, bytes, 64)
  const ret = [6, 0, 0, 1] as const
  const onward = plain([0x30, 0, 0, 10], [0x30, 0, 0, 11], [0x28, 0, 0, 10], ret)
  expect([10, 11, 12].map((bytes) => matches(onward, bytes))).toEqual([false, false, true])
  // If the first byte is 1, goes around the load of byte 20.
  const around = plain([0x30, 0, 0, 0], [0x15, 1, 0, 1], [0x30, 0, 0, 20], [0x30, 0, 0, 15], ret)
  expect([1, 15, 16].map((bytes) => matches(around, bytes))).toEqual([false, false, true])
})

/** Nothing of a program becomes text of the function but its numbers. */
test('an instruction that is no number gets nowhere', () => {
  const k = '0; globalThis.seen = true; 0' as unknown as number
  expect(() => makeFilter(plain([0x20, 0, 0, k], [6, 0, 0, 1]))).toThrow('no whole numbers')
  expect(globalThis).not.toHaveProperty('seen')
})

/** Every opcode there is, with constants as they happen to be; ends with a return of A. */
function randomProgram(seed: number): FilterProgram {
  const random = new Traffic(seed)
  const of = (values: readonly number[]): number => values[random.below(values.length)]
  const length = 3 + random.below(40)
  const constant = (): number =>
    of([
      0,
      1,
      2,
      7,
      12,
      14,
      31,
      40,
      60,
      255,
      0x7fff_ffff,
      0x8000_0000,
      0xffff_fffe,
      0xffff_ffff,
      random.below(2 ** 32),
    ])
  const place = (): number => (random.below(8) === 0 ? constant() : random.below(64))
  const instruction = (at: number): FilterInstruction => {
    const rest = length - at - 1
    const jump = (): number => random.below(Math.min(rest, 6))
    const kind = random.below(10)
    const simple = (code: number, k: number): FilterInstruction => ({ code, jt: 0, jf: 0, k })
    if (kind < 2) return simple(of([0x20, 0x28, 0x30, 0xb1]), place())
    if (kind === 2) return simple(of([0x40, 0x48, 0x50]), place())
    if (kind === 3) return simple(of([0x00, 0x01, 0x80, 0x81]), constant())
    if (kind === 4) return simple(of([0x02, 0x03, 0x60, 0x61]), random.below(16))
    if (kind === 5) return simple(of([0x07, 0x87, 0x84]), 0)
    if (kind === 6) return simple(of([0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0x9c, 0xac]), 0)
    if (kind === 7) {
      const code = of([0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x94, 0xa4])
      return simple(code, code === 0x64 || code === 0x74 ? random.below(32) : constant() || 3)
    }
    const code = of([0x05, 0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d])
    if (code === 0x05) return simple(code, jump())
    return { code, jt: jump(), jf: jump(), k: constant() }
  }
  // Scratch memory is filled first: libpcap's begins as whatever the stack held.
  const begin = Array.from({ length: 16 }, (_, k): FilterInstruction => ({ code: 0x02, jt: 0, jf: 0, k }))
  const body = Array.from({ length: length - 1 }, (_, at) => instruction(at))
  const end = { code: of([0x06, 0x16]), jt: 0, jf: 0, k: constant() }
  return { expression: `seed ${seed}`, instructions: [...begin, ...body, end] }
}
