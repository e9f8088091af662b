/** What a driver may do against the datasheet before the strict mode of the virtual NIC counts as a finding. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Started } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

/** A NIC of `ixy-ts vnic`, and what the drivers did to it. */
export interface Reported {
  /** `vfio-user:<socket>` */
  readonly device: string
  readonly breaches: readonly { readonly rule: string }[]
  readonly wires: readonly { readonly counters: Readonly<Record<string, number>> }[]
}

/** Whose driver it was: there is a section of docs/virtual-nic.md for each. */
export type Judge = 'Linux' | 'DPDK' | 'iPXE'

/**
 * The rules in the first column of the tables that docs/virtual-nic.md has of these drivers: what they are known to breach.
 * Of each, the register's bits that it names (0: none), which a run need not have met all.
 */
function documented(repository: string, judges: readonly Judge[]): Map<string, number> {
  const sections = readFileSync(join(repository, 'docs/virtual-nic.md'), 'utf8').split(/^## /m)
  const known = new Map<string, number>()
  for (const judge of judges) {
    const section = sections.find((text) => text.startsWith(`What ${judge}'s `))
    assert.ok(section !== undefined, `docs/virtual-nic.md has no section "What ${judge}'s …"`)
    for (const [, rule = ''] of section.matchAll(/^\| `([^`]+\(82599 §[\d.]+\))` +\|/gm)) {
      const { text, bits } = split(rule)
      known.set(text, (known.get(text) ?? 0) | bits)
    }
  }
  return known
}

/** `reserved bits of EIMC written with ones: 0x80000000 (82599 …)` without the bits, and the bits. */
function split(rule: string): { text: string; bits: number } {
  const [match, hex] = /: 0x([0-9a-f]+)(?= \()/.exec(rule) ?? ['', '0']
  return { text: rule.replace(match, ''), bits: Number.parseInt(hex, 16) }
}

/** Stops a server, when its machines have ended, and returns what it reports of each of its NICs. */
export async function reported(server: Started): Promise<readonly Reported[]> {
  await server.stop()
  const end = /^\{"event":"end".*$/m.exec(server.output())?.[0]
  assert.ok(end !== undefined, `the server has not reported: ${server.output()}`)
  const { virtual } = JSON.parse(end) as { readonly virtual: readonly Reported[] }
  return virtual
}

interface BreachOptions {
  readonly judges?: readonly Judge[]
  readonly own?: readonly string[]
  readonly provoked?: string
}

/**
 * Stops the servers, when their machines have ended, and checks that what they report of the judges' drivers is documented.
 * `own` are the sockets of the NICs that only ixy-ts has driven: it breaches nothing. `provoked` is a breach that the
 * scenario has caused on purpose.
 */
export async function breachesAreDocumented(
  test: ScenarioContext,
  servers: readonly Started[],
  { judges = ['Linux'], own = [], provoked = '' }: BreachOptions = {},
): Promise<void> {
  const and = own.length > 0 ? ', and ixy-ts in none' : ''
  await test.check(
    `${judges.join(' and ')}: the datasheet is breached in no other way than docs/virtual-nic.md tells${and}`,
    async () => {
      const known = documented(test.environment.repository, judges)
      const found = new Set<string>()
      for (const server of servers) {
        for (const { device, breaches } of await reported(server)) {
          const allowed = own.some((socket) => device === `vfio-user:${socket}`)
            ? new Map<string, number>()
            : known
          const rules = breaches.map(({ rule }) => rule).filter((rule) => rule !== provoked)
          const others = rules.filter((rule) => {
            const { text, bits } = split(rule)
            const allowedBits = allowed.get(text)
            return allowedBits === undefined || (bits & ~allowedBits) !== 0
          })
          assert.deepEqual(others, [], device)
          for (const rule of rules) found.add(split(rule).text)
        }
      }
      return `${found.size} of ${known.size}`
    },
  )
}
