/** What a driver may do against the datasheet before the strict mode of the virtual NIC counts as a finding. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Started } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

/**
 * The rules in the first column of the tables in docs/virtual-nic.md: what Linux's ixgbe is known to breach. Of each, the
 * register's bits that it names (0: none), which a run need not have met all.
 */
function documented(repository: string): Map<string, number> {
  const page = readFileSync(join(repository, 'docs/virtual-nic.md'), 'utf8')
  const known = new Map<string, number>()
  for (const [, rule = ''] of page.matchAll(/^\| `([^`]+\(82599 §[\d.]+\))` +\|/gm)) {
    const { text, bits } = split(rule)
    known.set(text, (known.get(text) ?? 0) | bits)
  }
  return known
}

/** `reserved bits of EIMC written with ones: 0x80000000 (82599 …)` without the bits, and the bits. */
function split(rule: string): { text: string; bits: number } {
  const [match, hex] = /: 0x([0-9a-f]+)(?= \()/.exec(rule) ?? ['', '0']
  return { text: rule.replace(match, ''), bits: Number.parseInt(hex, 16) }
}

/** Stops the server, when its machines have ended, and checks that what it reports of Linux's driver is documented. */
export async function breachesAreDocumented(test: ScenarioContext, server: Started): Promise<void> {
  await test.check(
    'ixgbe breaches the datasheet in no other way than docs/virtual-nic.md tells',
    async () => {
      await server.stop()
      const known = documented(test.environment.repository)
      const output = server.output()
      assert.match(output, /breach(es)? of the datasheet/, 'the server has not reported')
      const found = [...output.matchAll(/breach of the datasheet, [\d,]+ ×: (.*)$/gm)].map(
        ([, rule = '']) => rule,
      )
      assert.deepEqual(
        found.filter((rule) => {
          const { text, bits } = split(rule)
          const documentedBits = known.get(text)
          return documentedBits === undefined || (bits & ~documentedBits) !== 0
        }),
        [],
      )
      return `${found.length} of ${known.size}`
    },
  )
}
