/**
 * Seccomp: a filter that the kernel runs before every system call of this process, as a program of classic BPF (seccomp(2),
 * linux/filter.h). It can't be taken away any more, and goes on to whatever the process starts.
 */
import { declare, lastErrno, LinuxError } from './libc.ts'
import { mmap, munmap, viewOf } from './mapping.ts'
import { ENOSYS, EPERM, LAST_KNOWN, type RefusedCall, type Refused, refusals } from './seccomp-table.ts'

const libcSyscall = declare<(number: number, operation: number, flags: number, program: bigint) => number>(
  'long syscall(long number, unsigned int operation, unsigned long flags, void *program)',
)
const libcPrctl = declare<(option: number, a: number, b: number, c: number, d: number) => number>(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
)

const SYS_SECCOMP = 317
const SECCOMP_SET_MODE_FILTER = 1
const SECCOMP_FILTER_FLAG_TSYNC = 1
const PR_GET_SECCOMP = 21
const SECCOMP_MODE_FILTER = 2
const PR_SET_NO_NEW_PRIVS = 38
const PR_GET_NO_NEW_PRIVS = 39

/** struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6] */
const NUMBER = 0
const ARCH = 4
const ARGUMENTS = 16
const AUDIT_ARCH_X86_64 = 0xc000003e
/** Numbers of the x32 ABI, which would pass a filter that compares with others. */
const X32 = 0x4000_0000
const RET_ALLOW = 0x7fff_0000
const RET_ERRNO = 0x0005_0000

/** BPF_LD|W|ABS, BPF_JMP|JEQ|K, JGE, JGT, JSET, BPF_RET|K */
const LOAD = 0x20
const JEQ = 0x15
const JGE = 0x35
const JGT = 0x25
const JSET = 0x45
const RET = 0x06

/** struct sock_filter: what to do, how many instructions to skip if true and if not, a constant. */
export type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number]

/**
 * The filter of a stage. Of what isn't a call of x86-64 nothing is allowed, and a call that is newer than the table doesn't
 * exist.
 */
export function filterProgram(list: readonly RefusedCall[]): Instruction[] {
  return [
    [LOAD, 0, 0, ARCH],
    [JEQ, 1, 0, AUDIT_ARCH_X86_64],
    [RET, 0, 0, RET_ERRNO | EPERM],
    [LOAD, 0, 0, NUMBER],
    [JGE, 0, 1, X32],
    [RET, 0, 0, RET_ERRNO | EPERM],
    [JGT, 0, 1, LAST_KNOWN],
    [RET, 0, 0, RET_ERRNO | ENOSYS],
    ...list.flatMap(instructions),
    [RET, 0, 0, RET_ALLOW],
  ]
}

function instructions({ number, when, error = EPERM }: RefusedCall): Instruction[] {
  const refuse: Instruction = [RET, 0, 0, RET_ERRNO | error]
  if (when === undefined) return [[JEQ, 0, 1, number], refuse]
  const test = when.is === 'equal' || when.is === 'other' ? JEQ : JSET
  const refusedIfTrue = when.is === 'equal' || when.is === 'with'
  return [
    [JEQ, 0, 4, number],
    [LOAD, 0, 0, ARGUMENTS + 8 * when.argument],
    [test, refusedIfTrue ? 0 : 1, refusedIfTrue ? 1 : 0, when.value],
    refuse,
    [LOAD, 0, 0, NUMBER],
  ]
}

/** Why there can be no filter here; null if there can. */
export function whyNoSeccomp(): string | null {
  if (process.arch !== 'x64') return `the table of calls is for x86-64, not ${process.arch}`
  if (libcPrctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) return 'this kernel has no seccomp'
  return null
}

/** Refuses the calls of `stage`, see refuse(). Returns how many are refused whatever their arguments. Throws LinuxError. */
export function installFilter(what: Refused): number {
  const list = refusals(what)
  refuse(list)
  return list.filter(({ when }) => when === undefined).length
}

/**
 * Refuses calls to all threads of this process, those to come included, and takes new privileges from them: both for
 * good. Throws LinuxError.
 */
export function refuse(list: readonly RefusedCall[]): void {
  const program = filterProgram(list)
  setNoNewPrivileges()
  const header = 16
  const bytes = header + program.length * 8
  const address = mmap(bytes)
  try {
    // struct sock_fprog { u16 length; struct sock_filter *filter }, then the filter.
    const view = new DataView(viewOf(address, bytes))
    view.setUint16(0, program.length, true)
    view.setBigUint64(8, address + BigInt(header), true)
    program.forEach(([code, ifTrue, ifFalse, k], i) => {
      view.setUint16(header + 8 * i, code, true)
      view.setUint8(header + 8 * i + 2, ifTrue)
      view.setUint8(header + 8 * i + 3, ifFalse)
      view.setUint32(header + 8 * i + 4, k, true)
    })
    const result = libcSyscall(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, address)
    if (result < 0) throw new LinuxError('seccomp', lastErrno())
    // The id of a thread that has a filter of its own.
    if (result > 0) throw new LinuxError('seccomp', 'ESRCH', `for thread ${result}`)
  } finally {
    munmap(address, bytes)
  }
}

/** True if a filter is in force in this thread. */
export function isFiltered(): boolean {
  return libcPrctl(PR_GET_SECCOMP, 0, 0, 0, 0) === SECCOMP_MODE_FILTER
}

/** This thread, and what it starts, gets no rights by running a program (setuid, capabilities of files). Throws LinuxError. */
export function setNoNewPrivileges(): void {
  if (libcPrctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    throw new LinuxError('prctl', lastErrno(), 'PR_SET_NO_NEW_PRIVS')
}

export function hasNoNewPrivileges(): boolean {
  return libcPrctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) === 1
}
