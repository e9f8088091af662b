/** The guest tests: real Linux in QEMU against the virtual 82599, and ixy-ts on PCI in that Linux. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chooseAccelerator } from './harness/accelerator.ts'
import { debianTree } from './harness/debian.ts'
import { buildInitramfs } from './harness/initramfs.ts'
import { KernelModules } from './harness/modules.ts'
import { Report } from './harness/report.ts'
import { runScenario } from './harness/scenario.ts'
import { scenarios } from './scenarios/index.ts'

async function main(wanted: readonly string[]): Promise<number> {
  const report = new Report()
  const repository = process.cwd()
  const cache = join(repository, '.cache/guest')
  const note = (line: string): void => report.note(line)
  if (wanted[0] === '--fetch') {
    debianTree(cache, note)
    return 0
  }
  const unknown = wanted.filter((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown.length > 0) {
    console.log(
      `no scenario ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`,
    )
    return 2
  }
  const logs = join(cache, 'logs')
  mkdirSync(logs, { recursive: true })
  const sockets = mkdtempSync(join(tmpdir(), 'ixy-guest-'))
  process.once('exit', () => rmSync(sockets, { recursive: true, force: true }))

  const tree = debianTree(cache, note)
  const initramfs = join(sockets, 'initramfs.cpio')
  const modules = new KernelModules(tree, cache)
  buildInitramfs(initramfs, { tree, modules, repository })
  const { accelerator, reason, forced } = await chooseAccelerator({ tree, initramfs, sockets, logs })
  report.note(`Linux ${tree.kernelRelease} under ${accelerator} (${reason})`)

  const environment = { repository, tree, modules, accelerator, forced, initramfs, sockets, logs, report }
  for (const scenario of scenarios) {
    if (wanted.length === 0 ? scenario.onRequest !== true : wanted.includes(scenario.name)) {
      await runScenario(environment, scenario)
    }
  }
  return report.finish()
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.log(`FAIL ${error instanceof Error ? error.stack : String(error)}`)
    process.exit(1)
  },
)
