/**
 * Tests that this machine can't run. Each is skipped with its reason in the title, from where test/skips.mjs, the reporter, takes
 * it: a skipped test without one is a failure, and so is, in CI, one that only lacks a program.
 */
import { spawnSync } from 'node:child_process'
import { sleepMilliseconds } from '../src/linux/clock.ts'
import { hugepageCounts } from '../src/linux/hugepage-supply.ts'
import { compileFilter } from '../src/linux/pcap-library.ts'
import { openTap } from '../src/linux/tap.ts'

interface Needs {
  root?: boolean
  /** TAP interfaces. */
  tap?: boolean
  programs?: readonly string[]
  /** Free huge pages of 2 MiB. */
  hugePages?: number
  /** Filters in tcpdump's language. */
  libpcap?: boolean
}

/** Why tests that need this can't run here; null if they can. */
export function missing({
  root = false,
  tap = false,
  programs = [],
  hugePages = 0,
  libpcap = false,
}: Needs): string | null {
  if (root && process.getuid?.() !== 0) return 'needs root'
  const absent = programs.filter((program) => !has(program))
  if (absent.length > 0) return `needs the program ${absent.join(', ')}`
  if (!hasHugePages(hugePages)) return `needs ${hugePages} free huge pages of 2 MiB`
  if (libpcap && !hasLibpcap()) return 'needs libpcap'
  return tap ? noTap() : null
}

function hasLibpcap(): boolean {
  try {
    compileFilter('')
    return true
  } catch {
    return false
  }
}

/** Other tests take what is free, for moments. */
function hasHugePages(wanted: number): boolean {
  const deadline = performance.now() + 10_000
  for (;;) {
    const { total, free } = hugepageCounts().find(({ pageBytes }) => pageBytes === 2 ** 21) ?? {
      total: 0,
      free: 0,
    }
    if (free >= wanted) return true
    if (total < wanted || performance.now() > deadline) return false
    sleepMilliseconds(20)
  }
}

export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

function noTap(): string | null {
  if (process.getuid?.() !== 0) return 'needs root'
  try {
    openTap(`ixs${process.pid}`).close()
    return null
  } catch (error) {
    return firstLine(error)
  }
}

/** What went wrong, for a title. */
export function firstLine(error: unknown): string {
  return String(error).split('\n')[0]
}

const because = (title: string, reason: string): string => `${title} (skipped: ${reason})`

/** `describe`, or a skipped one whose title says why. */
export function describeIf(reason: string | null, title: string, body: () => void): void {
  if (reason === null) describe(title, body)
  else describe.skip(because(title, reason), body)
}

/** `test`, or a skipped one whose title says why. */
export function testIf(
  reason: string | null,
  title: string,
  body: jest.ProvidesCallback,
  timeout?: number,
): void {
  if (reason === null) test(title, body, timeout)
  else test.skip(because(title, reason), body)
}
