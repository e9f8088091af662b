/**
 * From a filter program to a JavaScript function, which V8 compiles.
 *
 * A jump forward is a `break` out of a labelled block that ends where the jump goes:
 *
 *     L5: { L3: { … if (a === 2048) break L3; … break L5; … } what L3 stands for } what L5 stands for
 *
 * The source is made of this file's own text and of whole numbers, nothing else: no string of a program gets into it.
 *
 * A packet's length is compared once for all loads up to it; on each way through the program it is known which bytes are there.
 */
import {
  Class,
  CLASS_MASK,
  type FilterInstruction,
  type FilterProgram,
  Jump,
  Mode,
  MODE_MASK,
  nextOf,
  Operator,
  OPERATOR_MASK,
  RETURN_A,
  Size,
  SIZE_MASK,
  SOURCE_X,
  TXA,
  verify,
} from './program.ts'

/**
 * Whether a packet matches: its `captured` bytes are at `offset` of `u8`, on the wire it had `wireLength` (the filter's `len`, `less`
 * and `greater`), both without FCS. `offset + captured` must be within `u8`. Allocates nothing.
 */
export type PacketFilter = (u8: Uint8Array, offset: number, captured: number, wireLength: number) => boolean

/** V8's parser and compiler go into blocks recursively: some thousands use up their stack. */
const DEEPEST = 500
/** Jumps backward for one packet: each passes one header of a chain, and those have 8 bytes at least. */
const MOST_ROUNDS = 10_000
/** What doesn't fit a signed word is beyond any packet. */
const BEYOND = 0x7fff_ff00

/**
 * Makes a function of a program, in whatever thread: V8 compiles it as it does this program's own code. Throws IXY_ERR_INTERNAL if the
 * program is none.
 */
export function makeFilter(program: FilterProgram): PacketFilter {
  verify(program)
  return new Function('u8', 'o', 'n', 'w', sourceOf(program)) as PacketFilter
}

/** The function's body. `o`, `n`, `w`: where the packet is, bytes of it that are there, bytes on the wire. */
export function sourceOf({ instructions }: FilterProgram): string {
  const targets = targetsOf(instructions)
  const forward = instructions.every((instruction, at) => nextOf(instruction, at).every((next) => next > at))
  const known = forward ? knownBytes(instructions) : instructions.map(() => 0)
  const state = `let a = 0, x = 0, i = 0;${scratchOf(instructions)}`
  if (forward && targets.length <= DEEPEST) return state + nested(instructions, targets, known)
  return state + dispatched(instructions, targets, known)
}

/** Labelled blocks, all from the beginning on. */
function nested(
  instructions: readonly FilterInstruction[],
  targets: readonly number[],
  known: readonly number[],
): string {
  const begin = targets.map((target) => `L${target}: {`).reverse()
  const goTo = (target: number): string => `break L${target};`
  const lines = instructions.map((_, at) => {
    const end = targets.includes(at) ? '}' : ''
    return end + statement(instructions, at, known[at], goTo)
  })
  return [...begin, ...lines].join('\n')
}

/** A switch in a loop: for jumps backward, and for programs with more places to jump to than blocks can be in each other. */
function dispatched(
  instructions: readonly FilterInstruction[],
  targets: readonly number[],
  known: readonly number[],
): string {
  const goTo = (target: number, from: number): string =>
    target > from
      ? `{ p = ${target}; continue; }`
      : `{ if (++r > ${MOST_ROUNDS}) return false; p = ${target}; continue; }`
  const places = new Set([0, ...targets])
  const lines = instructions.map((_, at) => {
    const begin = places.has(at) ? `case ${at}: ` : ''
    return begin + statement(instructions, at, known[at], goTo)
  })
  return ['let p = 0, r = 0; for (;;) switch (p) {', ...lines, '}'].join('\n')
}

/** Places that are jumped to, in order; not those that only return a constant, as that is done at once. */
function targetsOf(instructions: readonly FilterInstruction[]): number[] {
  const targets = instructions.flatMap((instruction, at) =>
    nextOf(instruction, at).filter((next) => next !== at + 1),
  )
  return [...new Set(targets)].filter((at) => !returnsConstant(instructions[at])).sort((a, b) => a - b)
}

function returnsConstant({ code }: FilterInstruction): boolean {
  return code === Class.RET
}

function scratchOf(instructions: readonly FilterInstruction[]): string {
  const words = instructions
    .filter(({ code }) => (code & CLASS_MASK) === Class.ST || (code & CLASS_MASK) === Class.STX)
    .concat(instructions.filter(({ code }) => isScratchLoad(code)))
    .map(({ k }) => k)
  return [...new Set(words)].map((word) => `let m${int(word)} = 0;`).join('')
}

function isScratchLoad(code: number): boolean {
  return (code & CLASS_MASK) <= Class.LDX && (code & MODE_MASK) === Mode.MEM
}

/** Before each instruction, how many bytes the packet has at least, whichever way has led there. */
function knownBytes(instructions: readonly FilterInstruction[]): number[] {
  const known = instructions.map(() => Infinity)
  known[0] = 0
  instructions.forEach((instruction, at) => {
    const after = Math.max(known[at], neededBy(instruction))
    for (const next of nextOf(instruction, at)) known[next] = Math.min(known[next], after)
  })
  return known.map((bytes) => (bytes === Infinity ? 0 : bytes))
}

/** Bytes that a load at a fixed place needs. */
function neededBy({ code, k }: FilterInstruction): number {
  const kind = code & CLASS_MASK
  const mode = code & MODE_MASK
  const isFixed = (kind === Class.LD && mode === Mode.ABS) || (kind === Class.LDX && mode === Mode.MSH)
  return isFixed ? (k >>> 0) + bytesOf(code) : 0
}

function bytesOf(code: number): number {
  const size = code & SIZE_MASK
  if (size === Size.W) return 4
  return size === Size.H ? 2 : 1
}

type GoTo = (target: number, from: number) => string

function statement(
  instructions: readonly FilterInstruction[],
  at: number,
  known: number,
  goTo: GoTo,
): string {
  const instruction = instructions[at]
  const { code, k } = instruction
  const rest = code & ~CLASS_MASK
  switch (code & CLASS_MASK) {
    case Class.LD:
      return load(instruction, known)
    case Class.LDX:
      return loadIndex(instruction, known)
    case Class.ST:
      return `m${int(k)} = a;`
    case Class.STX:
      return `m${int(k)} = x;`
    case Class.ALU:
      return arithmetic(rest & OPERATOR_MASK, (rest & SOURCE_X) !== 0, k)
    case Class.JMP:
      return jump(instructions, at, goTo)
    case Class.RET:
      return rest === RETURN_A ? 'return a !== 0;' : constantReturn(instruction)
    default:
      return rest === TXA ? 'a = x;' : 'x = a;'
  }
}

function load(instruction: FilterInstruction, known: number): string {
  const { code, k } = instruction
  switch (code & MODE_MASK) {
    case Mode.ABS:
      return checked(instruction, known, `a = ${bigEndian(bytesOf(code), (byte) => `o + ${int(k + byte)}`)};`)
    case Mode.IND:
      return indirect(k >>> 0, bytesOf(code))
    case Mode.MEM:
      return `a = m${int(k)};`
    case Mode.LEN:
      return 'a = w | 0;'
    default:
      return `a = ${int(k)};`
  }
}

function loadIndex(instruction: FilterInstruction, known: number): string {
  const { code, k } = instruction
  switch (code & MODE_MASK) {
    case Mode.MSH:
      return checked(instruction, known, `x = (u8[(o + ${int(k)}) | 0] & 15) << 2;`)
    case Mode.MEM:
      return `x = m${int(k)};`
    case Mode.LEN:
      return 'x = w | 0;'
    default:
      return `x = ${int(k)};`
  }
}

/** A load outside of the packet rejects it. */
function checked(instruction: FilterInstruction, known: number, text: string): string {
  const needed = neededBy(instruction)
  if (needed > BEYOND) return 'return false;'
  return needed > known ? `if (n < ${int(needed)}) return false; ${text}` : text
}

/** X counts without sign: what is below 0 here is beyond the packet, and a sum never wraps around. */
function indirect(k: number, bytes: number): string {
  if (k + bytes > BEYOND) return 'return false;'
  const value = bigEndian(bytes, (byte) => `i + ${int(byte)}`)
  return `if (x < 0 || x > n - ${int(k + bytes)}) return false; i = (o + x + ${int(k)}) | 0; a = ${value};`
}

function bigEndian(bytes: number, place: (byte: number) => string): string {
  const parts = Array.from({ length: bytes }, (_, byte) => {
    const shift = 8 * (bytes - 1 - byte)
    // Without `| 0` each sum would be checked for overflow: a fifth of the time.
    const value = `u8[(${place(byte)}) | 0]`
    return shift === 0 ? value : `${value} << ${shift}`
  })
  return parts.join(' | ')
}

/** Words are kept with sign, as V8 keeps those up to 2^31 only in registers; `>>> 0` where the sign matters. */
function arithmetic(operator: number, byX: boolean, k: number): string {
  const by = byX ? 'x' : int(k)
  switch (operator) {
    case Operator.ADD:
      return `a = (a + ${by}) | 0;`
    case Operator.SUB:
      return `a = (a - ${by}) | 0;`
    case Operator.MUL:
      return `a = Math.imul(a, ${by});`
    case Operator.DIV:
    case Operator.MOD: {
      const sign = operator === Operator.DIV ? '/' : '%'
      const zero = byX ? 'if (x === 0) return false; ' : ''
      return `${zero}a = ((a >>> 0) ${sign} (${by} >>> 0)) | 0;`
    }
    case Operator.OR:
      return `a |= ${by};`
    case Operator.AND:
      return `a &= ${by};`
    case Operator.XOR:
      return `a ^= ${by};`
    case Operator.LSH:
      return byX ? 'a = (x >>> 0) < 32 ? a << x : 0;' : `a <<= ${by};`
    case Operator.RSH:
      return byX ? 'a = (x >>> 0) < 32 ? (a >>> x) | 0 : 0;' : `a = (a >>> ${by}) | 0;`
    default:
      return 'a = (0 - a) | 0;'
  }
}

function jump(instructions: readonly FilterInstruction[], at: number, goTo: GoTo): string {
  const instruction = instructions[at]
  const [yes, no = yes] = nextOf(instruction, at)
  const go = (target: number): string =>
    returnsConstant(instructions[target]) ? constantReturn(instructions[target]) : goTo(target, at)
  if (yes === no) return yes === at + 1 ? '' : go(yes)
  const condition = conditionOf(instruction)
  if (yes === at + 1) return `if (!(${condition})) ${go(no)}`
  return no === at + 1 ? `if (${condition}) ${go(yes)}` : `if (${condition}) ${go(yes)} ${go(no)}`
}

function conditionOf({ code, k }: FilterInstruction): string {
  const byX = (code & SOURCE_X) !== 0
  switch (code & OPERATOR_MASK) {
    case Jump.JEQ:
      return `a === ${byX ? 'x' : int(k)}`
    case Jump.JGT:
      return `(a >>> 0) > ${byX ? '(x >>> 0)' : String(k >>> 0)}`
    case Jump.JGE:
      return `(a >>> 0) >= ${byX ? '(x >>> 0)' : String(k >>> 0)}`
    default:
      return `(a & ${byX ? 'x' : int(k)}) !== 0`
  }
}

function constantReturn({ k }: FilterInstruction): string {
  return `return ${(k | 0) === 0 ? 'false' : 'true'};`
}

/** A 32-bit constant with its sign, whatever `value` is. In brackets: `- -1` would be another operator without the blank. */
function int(value: number): string {
  const word = value | 0
  return word < 0 ? `(${word})` : String(word)
}
