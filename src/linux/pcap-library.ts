/**
 * libpcap, of which one thing is used: its compiler of tcpdump's filter language. It makes programs of classic BPF, see
 * packet/filter/program.ts.
 *
 * For the main thread only: before libpcap 1.8 its compiler kept state between calls of whatever thread. It may look up names of
 * hosts, networks, ports and protocols, and waits for them.
 */
import koffi from 'koffi'
import { IxyError, usageError } from '../errors.ts'
import {
  Class,
  CLASS_MASK,
  type FilterInstruction,
  type FilterProgram,
  Mode,
  MODE_MASK,
  verify,
} from '../packet/filter/program.ts'
import { LINKTYPE_ETHERNET, MAX_CAPTURED_BYTES } from '../packet/pcap.ts'

/** Debian and Ubuntu have kept the name of 1998; others have the version's. */
const NAMES = ['libpcap.so.0.8', 'libpcap.so.1'] as const

/** `struct bpf_insn`: code (16 bits), jt, jf (8 bits each), k (32 bits). */
const INSTRUCTION_BYTES = 8
/** `struct bpf_program`: the number of instructions (32 bits), and after a gap a pointer to them. */
const PROGRAM_BYTES = 16
const PROGRAM_POINTER = 8
/** PCAP_NETMASK_UNKNOWN: `ip broadcast` is refused then, since nobody could tell. */
const NETMASK_UNKNOWN = 0xffff_ffff

/** SKF_AD_OFF of <linux/filter.h>, -0x1000. */
const KERNEL_PLACES = 0xffff_f000

interface Libpcap {
  open(linkType: number, snapLength: number): bigint
  compile(pcap: bigint, program: Uint8Array, expression: string, optimise: number, netmask: number): number
  error(pcap: bigint): string
  free(program: Uint8Array): void
  close(pcap: bigint): void
}

let loaded: Libpcap | null = null

/**
 * Compiles a filter in tcpdump's language (pcap-filter(7)) for Ethernet frames; '' matches everything. For the main thread: an app does it
 * in `options` or `plan`, and hands the program over in the job. Throws IXY_ERR_USAGE with what libpcap has to say about the expression,
 * IXY_ERR_SYSTEM if there is no libpcap.
 */
export function compileFilter(expression: string): FilterProgram {
  if (expression.includes('\0')) throw usageError('a filter has no zero bytes', 'see man pcap-filter')
  loaded ??= load()
  const { open, compile, error, free, close } = loaded
  const pcap = open(LINKTYPE_ETHERNET, MAX_CAPTURED_BYTES)
  if (pcap === 0n) throw new IxyError('IXY_ERR_SYSTEM', 'libpcap has no memory for a filter', 'free some')
  try {
    const program = new Uint8Array(PROGRAM_BYTES)
    if (compile(pcap, program, expression, 1, NETMASK_UNKNOWN) !== 0)
      throw usageError(`filter '${expression}': ${error(pcap)}`, 'see man pcap-filter for how to write one')
    try {
      const compiled = { expression, instructions: instructionsOf(program) }
      if (compiled.instructions.some(asksKernel))
        throw usageError(
          `filter '${expression}': inbound, outbound and ifindex are the kernel's to know, and it doesn't see these packets`,
          'leave them out',
        )
      verify(compiled)
      return compiled
    } finally {
      free(program)
    }
  } finally {
    close(pcap)
  }
}

/** A load at one of the places where Linux has what isn't in a packet (SKF_AD_OFF): it would never match here. */
function asksKernel({ code, k }: FilterInstruction): boolean {
  return (code & (CLASS_MASK | MODE_MASK)) === (Class.LD | Mode.ABS) && k >= KERNEL_PLACES
}

function instructionsOf(program: Uint8Array): FilterInstruction[] {
  const header = new DataView(program.buffer)
  const count = header.getUint32(0, true)
  const address = header.getBigUint64(PROGRAM_POINTER, true)
  const bytes = koffi.decode(address, koffi.array('uint8_t', count * INSTRUCTION_BYTES)) as Uint8Array
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: count }, (_, i) => {
    const at = i * INSTRUCTION_BYTES
    return {
      code: view.getUint16(at, true),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, true),
    }
  })
}

/** Not before somebody wants a filter: whoever wants none needs no libpcap. */
function load(): Libpcap {
  const library = open()
  return {
    open: library.func('void *pcap_open_dead(int linktype, int snaplen)'),
    compile: library.func(
      'int pcap_compile(void *pcap, void *program, const char *expression, int optimise, uint32_t netmask)',
    ),
    error: library.func('const char *pcap_geterr(void *pcap)'),
    free: library.func('void pcap_freecode(void *program)'),
    close: library.func('void pcap_close(void *pcap)'),
  } as unknown as Libpcap
}

function open(): ReturnType<typeof koffi.load> {
  const reasons: string[] = []
  for (const name of NAMES) {
    try {
      return koffi.load(name)
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error))
    }
  }
  const [reason] = reasons[0].replace('Failed to load shared library: ', '').split('\n')
  throw new IxyError(
    'IXY_ERR_SYSTEM',
    `filters need ${NAMES[0]}, which can't be loaded: ${reason}`,
    'install it, on Debian with sudo apt install libpcap0.8',
  )
}
