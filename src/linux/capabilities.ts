/** The parts of root's power (capabilities(7)), and giving them up for the program that replaces this one. */
import { readFileSync } from 'node:fs'
import { declare } from './libc.ts'

/** Numbers of linux/capability.h. */
export const CAPABILITIES = {
  DAC_OVERRIDE: 1,
  SETGID: 6,
  SETUID: 7,
  NET_ADMIN: 12,
  IPC_LOCK: 14,
  SYS_ADMIN: 21,
} as const

export type Capability = keyof typeof CAPABILITIES

const PR_CAPBSET_DROP = 24
const LAST = 63
/** CAP_SETPCAP, which dropping takes. */
const SETPCAP = 8

const libcPrctl = declare<(option: number, capability: number) => number>(
  'int prctl(int option, unsigned long capability)',
)

/**
 * What this thread runs next, as root, gets these capabilities at most. Without effect if this process may not do so:
 * effectiveCapabilities() tells.
 */
export function limitCapabilities(keep: readonly Capability[]): void {
  const kept = new Set<number>(keep.map((name) => CAPABILITIES[name]))
  const order = [...Array.from({ length: LAST + 1 }, (_, i) => i).filter((i) => i !== SETPCAP), SETPCAP]
  // Numbers that the kernel doesn't know are refused.
  for (const capability of order) if (!kept.has(capability)) libcPrctl(PR_CAPBSET_DROP, capability)
}

/** Names of what this process may do, in small letters; numbers for those not named here. */
export function effectiveCapabilities(): string[] {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  const mask = BigInt(`0x${hex}`)
  const names = new Map<number, string>(Object.entries(CAPABILITIES).map(([name, number]) => [number, name]))
  return Array.from({ length: LAST + 1 }, (_, i) => i)
    .filter((i) => ((mask >> BigInt(i)) & 1n) === 1n)
    .map((i) => names.get(i)?.toLowerCase() ?? String(i))
}
