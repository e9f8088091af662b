/**
 * Filter programs: the classic BPF that libpcap makes of tcpdump's filter language.
 *
 * McCanne and Jacobson, "The BSD Packet Filter" (USENIX Winter 1993), §3.3; opcodes as in Linux's <linux/bpf_common.h>. There is
 * an accumulator A, an index register X and a scratch memory of sixteen words, all of 32 bits without sign.
 */
import { IxyError } from '../../errors.ts'

/** One instruction. */
export interface FilterInstruction {
  /** What it does: class, size or operator, addressing mode. */
  readonly code: number
  /** Of a conditional jump: how many instructions are skipped if the condition holds, and if it doesn't. */
  readonly jt: number
  readonly jf: number
  /** The constant, 32 bits without sign. */
  readonly k: number
}

/** A compiled filter. Plain data, which can be sent to a worker. */
export interface FilterProgram {
  /** As the user wrote it. */
  readonly expression: string
  readonly instructions: readonly FilterInstruction[]
}

export const Class = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, RET: 6, MISC: 7 } as const
export const CLASS_MASK = 0x07

/** Of a load: how much, and from where. */
export const Size = { W: 0x00, H: 0x08, B: 0x10 } as const
export const SIZE_MASK = 0x18
export const Mode = { IMM: 0x00, ABS: 0x20, IND: 0x40, MEM: 0x60, LEN: 0x80, MSH: 0xa0 } as const
export const MODE_MASK = 0xe0

/** Of arithmetic and of jumps. */
export const Operator = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  MOD: 0x90,
  XOR: 0xa0,
} as const
export const Jump = { JA: 0x00, JEQ: 0x10, JGT: 0x20, JGE: 0x30, JSET: 0x40 } as const
export const OPERATOR_MASK = 0xf0
/** The second operand is X, not the constant. */
export const SOURCE_X = 0x08
/** A return gives A, not the constant. */
export const RETURN_A = 0x10
/** Of MISC: A becomes X, not X A. */
export const TXA = 0x80

/** Words of scratch memory. */
export const SCRATCH_WORDS = 16
const WORD_BITS = 32

const LOADS = new Set<number>([
  ...[Mode.ABS, Mode.IND].flatMap((mode) => [Size.W, Size.H, Size.B].map((size) => mode | size)),
  Mode.IMM,
  Mode.MEM,
  Mode.LEN,
])
const INDEX_LOADS = new Set<number>([Mode.IMM, Mode.MEM, Mode.LEN, Mode.MSH | Size.B])
const OPERATORS = new Set<number>(Object.values(Operator))
const JUMPS = new Set<number>(Object.values(Jump))

/** Where instruction `at` may go on: one place or two; none after a return. */
export function nextOf({ code, jt, jf, k }: FilterInstruction, at: number): number[] {
  const kind = code & CLASS_MASK
  if (kind === Class.RET) return []
  if (kind !== Class.JMP) return [at + 1]
  // The constant has a sign here only: libpcap goes through chains of headers (protochain) with jumps backward.
  return (code & OPERATOR_MASK) === Jump.JA ? [at + 1 + (k | 0)] : [at + 1 + jt, at + 1 + jf]
}

/**
 * Throws IXY_ERR_INTERNAL if that is no program: an unknown instruction, a jump or a word of scratch memory that isn't there, a division
 * by the constant 0, a shift of more than 31 bits.
 */
export function verify({ instructions, expression }: FilterProgram): void {
  const refuse = (at: number, what: string): never => {
    throw new IxyError('IXY_ERR_INTERNAL', `filter '${expression}', instruction ${at}: ${what}`)
  }
  if (instructions.length === 0) refuse(0, 'there is none')
  instructions.forEach((instruction, at) => {
    const { code, jt, jf, k } = instruction
    if (![code, jt, jf, k].every(Number.isInteger)) refuse(at, 'no whole numbers')
    if (!isKnown(code)) refuse(at, `unknown opcode 0x${code.toString(16)}`)
    if (!nextOf(instruction, at).every((next) => next >= 0 && next < instructions.length))
      refuse(at, 'it leads out of the program')
    if (usesScratch(code) && (k < 0 || k >= SCRATCH_WORDS)) refuse(at, `no scratch memory at ${k}`)
    if ((code & CLASS_MASK) !== Class.ALU || (code & SOURCE_X) !== 0) return
    const operator = code & OPERATOR_MASK
    if ((operator === Operator.DIV || operator === Operator.MOD) && k === 0) refuse(at, 'division by 0')
    if ((operator === Operator.LSH || operator === Operator.RSH) && (k < 0 || k >= WORD_BITS))
      refuse(at, `shift by ${k} bits`)
  })
}

function isKnown(code: number): boolean {
  const rest = code & ~CLASS_MASK
  const operator = rest & ~SOURCE_X
  switch (code & CLASS_MASK) {
    case Class.LD:
      return LOADS.has(rest)
    case Class.LDX:
      return INDEX_LOADS.has(rest)
    case Class.ST:
    case Class.STX:
      return rest === 0
    case Class.ALU:
      return OPERATORS.has(operator) && rest !== (Operator.NEG | SOURCE_X)
    case Class.JMP:
      return JUMPS.has(operator) && rest !== (Jump.JA | SOURCE_X)
    case Class.RET:
      return rest === 0 || rest === RETURN_A
    default:
      return rest === 0 || rest === TXA
  }
}

function usesScratch(code: number): boolean {
  const kind = code & CLASS_MASK
  const isLoad = kind === Class.LD || kind === Class.LDX
  return kind === Class.ST || kind === Class.STX || (isLoad && (code & MODE_MASK) === Mode.MEM)
}
