/** What a driver may do against the datasheet before the strict mode of the virtual NIC counts as a finding. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Started } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

/** The rules in the first column of the tables in docs/virtual-nic.md: what Linux's ixgbe is known to breach. */
function documented(repository: string): Set<string> {
  const page = readFileSync(join(repository, 'docs/virtual-nic.md'), 'utf8')
  return new Set([...page.matchAll(/^\| `([^`]+\(82599 §[\d.]+\))` +\|/gm)].map(([, rule = '']) => rule))
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
        found.filter((rule) => !known.has(rule)),
        [],
      )
      return `${found.length} of ${known.size}`
    },
  )
}
