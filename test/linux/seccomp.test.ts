import { existsSync, readFileSync } from 'node:fs'
import { filterProgram, type Instruction } from '../../src/linux/seccomp.ts'
import { refusals } from '../../src/linux/seccomp-table.ts'
import { testIf } from '../skip.ts'

const ALLOW = 0x7fff_0000
const EPERM = 0x0005_0001
const ENOSYS = 0x0005_0026
const X86_64 = 0xc000_003e
const I386 = 0x4000_0003
const PID = 4711

/** What the kernel does with such a program (linux/filter.h), as far as this one goes. */
function run(
  program: readonly Instruction[],
  number: number,
  args: readonly number[] = [],
  arch = X86_64,
): number {
  let accumulator = 0
  for (let at = 0; ; at++) {
    const [code, ifTrue, ifFalse, k] = program[at]
    const jump = (condition: boolean): void => {
      at += condition ? ifTrue : ifFalse
    }
    switch (code) {
      case 0x20:
        accumulator = k === 0 ? number >>> 0 : k === 4 ? arch : (args[(k - 16) / 8] ?? 0) >>> 0
        break
      case 0x15:
        jump(accumulator === k >>> 0)
        break
      case 0x25:
        jump(accumulator > k >>> 0)
        break
      case 0x35:
        jump(accumulator >= k >>> 0)
        break
      case 0x45:
        jump((accumulator & k) !== 0)
        break
      case 0x06:
        return k
      default:
        throw new Error(`instruction ${code}`)
    }
  }
}

const start = filterProgram(refusals({ stage: 'start', writesFiles: true, pid: PID }))
const recording = filterProgram(refusals({ stage: 'service', writesFiles: true, pid: PID }))
const service = filterProgram(refusals({ stage: 'service', writesFiles: false, pid: PID }))

test('what is refused, and only that', () => {
  const refused = new Map(
    refusals({ stage: 'service', writesFiles: false, pid: PID }).map((refusal) => [refusal.number, refusal]),
  )
  for (let number = 0; number <= 470; number++) {
    const refusal = refused.get(number)
    if (refusal?.when !== undefined) continue
    expect([number, run(service, number)]).toEqual([
      number,
      refusal === undefined ? ALLOW : refusal.error === undefined ? EPERM : ENOSYS,
    ])
  }
})

test('what a server needs is allowed', () => {
  const NEEDED = {
    read: 0,
    write: 1,
    mmap: 9,
    mprotect: 10,
    recvmsg: 47,
    sendmsg: 46,
    accept4: 288,
    ppoll: 271,
    futex: 202,
  }
  for (const number of Object.values({ ...NEEDED, unlink: 87, memfd_create: 319, exit_group: 231 }))
    expect([number, run(service, number)]).toEqual([number, ALLOW])
})

test('programs start and files are written before the service, not in it', () => {
  for (const number of [59, 41, 49, 82, 105]) {
    expect(run(start, number)).toBe(ALLOW)
    expect(run(service, number)).toBe(EPERM)
  }
})

test('captures are opened for writing by those that record', () => {
  expect(run(recording, 257, [-100, 0, 0o1101])).toBe(ALLOW)
  expect(run(recording, 437)).toBe(ENOSYS)
  expect(run(recording, 59)).toBe(EPERM)
})

test('calls of other machines, and such as are newer than the table', () => {
  expect(run(service, 0, [], I386)).toBe(EPERM)
  expect(run(service, 0x4000_0000)).toBe(EPERM)
  expect(run(service, -1)).toBe(EPERM)
  expect(run(service, 471)).toBe(ENOSYS)
})

test.each([
  ['openat for reading', 257, [-100, 0, 0o2000000], ALLOW],
  ['openat for writing', 257, [-100, 0, 0o1], EPERM],
  ['openat for both', 257, [-100, 0, 0o2], EPERM],
  ['openat that creates', 257, [-100, 0, 0o100], EPERM],
  ['openat that truncates', 257, [-100, 0, 0o1000], EPERM],
  ['open for writing', 2, [0, 0o1], EPERM],
  ['a thread', 56, [0x3d0f00], ALLOW],
  ['a process', 56, [0x1200011], EPERM],
  ['a thread by clone3, which the C library then tries by clone', 435, [], ENOSYS],
  ['a signal to itself', 62, [PID], ALLOW],
  ['a signal to another', 62, [PID + 1], EPERM],
  ['a signal to all', 62, [-1], EPERM],
  ['an own limit', 302, [0], ALLOW],
  ["another's limit", 302, [1], EPERM],
  ['a TAP', 16, [3, 0x400454ca], ALLOW],
  ['typing on the terminal', 16, [0, 0x5412], EPERM],
])('%s', (_name, number, args, outcome) => {
  expect(run(service, number, args)).toBe(outcome)
  // A test of an argument doesn't spoil what is compared after it.
  expect(run(service, 101, args)).toBe(EPERM)
})

const header = ['/usr/include/x86_64-linux-gnu/asm/unistd_64.h', '/usr/include/asm/unistd_64.h'].find(
  (file) => existsSync(file),
)
const noHeader = header === undefined ? 'no asm/unistd_64.h' : null
testIf(noHeader, 'numbers are those of the C header', () => {
  const numbers = new Map(
    [...readFileSync(header ?? '', 'utf8').matchAll(/#define __NR_(\w+) (\d+)/g)].map(([, name, number]) => [
      name,
      Number(number),
    ]),
  )
  expect(numbers.size).toBeGreaterThan(300)
  const last = Math.max(...numbers.values())
  for (const { name, number } of refusals({ stage: 'service', writesFiles: false }))
    if (number <= last) expect([name, numbers.get(name)]).toEqual([name, number])
})

test('threads may wait for each other, also by words that processes share', () => {
  const [futex, futexWaitv] = [202, 449]
  for (const number of [futex, futexWaitv]) expect(run(service, number)).toBe(ALLOW)
})
