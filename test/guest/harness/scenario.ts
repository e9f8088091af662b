/** What a scenario is, and what it is given to work with. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DebianTree } from './debian.ts'
import { type Accelerator, Guest, type GuestOptions } from './qemu.ts'
import type { KernelModules } from './modules.ts'
import type { Report } from './report.ts'

export interface Scenario {
  readonly name: string
  /** Seconds for all of it, boots included. */
  readonly deadline: number
  /** Only run when named. */
  readonly onRequest?: boolean
  run(test: ScenarioContext): Promise<void>
}

export interface Environment {
  readonly repository: string
  readonly tree: DebianTree
  readonly modules: KernelModules
  /** May become tcg when a guest doesn't boot, unless it is `forced`. */
  accelerator: Accelerator
  readonly forced: boolean
  readonly initramfs: string
  readonly sockets: string
  readonly logs: string
  readonly report: Report
}

/** A guest is up in a few seconds with KVM. */
const KVM_BOOT_SECONDS = 30

/** Throws if the check fails; a string that it returns is shown beside the check. */
export type CheckBody = () => unknown

const detailOf = (result: unknown): string => (typeof result === 'string' ? result : '')

/** A check that the rest of the scenario can't do without has failed. It has been reported already. */
class Abandoned extends Error {}

export class ScenarioContext {
  readonly environment: Environment
  readonly name: string
  readonly #cleanups: (() => unknown)[] = []
  #over = false

  constructor(environment: Environment, name: string) {
    this.environment = environment
    this.name = name
    mkdirSync(environment.logs, { recursive: true })
  }

  /** Boots a guest, which is stopped when the scenario ends. */
  async boot(options: Partial<GuestOptions> = {}): Promise<Guest> {
    const guest = await this.#start({ ...this.environment, ...options, name: options.name ?? this.name })
    this.cleanup(async () => {
      try {
        if (guest.alive) await saveKernelLog(guest, join(this.environment.logs, `${guest.name}.dmesg`))
      } finally {
        await guest.stop()
      }
    })
    this.note(`${guest.name} up after ${guest.bootSeconds.toFixed(1)} s`)
    return guest
  }

  /** KVM may have run the first guest and yet not run this one: then it is TCG from here on. */
  async #start(options: GuestOptions): Promise<Guest> {
    const { environment } = this
    if (options.accelerator === 'tcg' || environment.forced) return Guest.boot(options)
    try {
      return await Guest.boot({ ...options, bootSeconds: KVM_BOOT_SECONDS })
    } catch (error) {
      environment.accelerator = 'tcg'
      const why = error instanceof Error ? error.message : String(error)
      this.note(`under TCG from here on, since with KVM ${why.split('\n').slice(0, 3).join('; ')}`)
      return Guest.boot({ ...options, accelerator: 'tcg' })
    }
  }

  /** A path for a socket, in a folder that goes away with the run. */
  socket(name: string): string {
    return join(this.environment.sockets, `${this.name}-${name}`)
  }

  /**
   * Runs when the scenario ends, however it ends; the last one registered first. What is started behind the deadline's
   * back goes away at once.
   */
  cleanup(action: () => unknown): void {
    this.#cleanups.push(action)
    if (this.#over) void this.cleanUp()
  }

  note(line: string): void {
    this.environment.report.note(line)
  }

  /** One line in the report. */
  async check(what: string, body: CheckBody): Promise<boolean> {
    try {
      this.environment.report.pass(this.name, what, detailOf(await body()))
      return true
    } catch (error) {
      this.environment.report.fail(this.name, what, error)
      return false
    }
  }

  /** A check without which the rest makes no sense. */
  async require(what: string, body: CheckBody): Promise<void> {
    if (!(await this.check(what, body))) throw new Abandoned(what)
  }

  skip(what: string, reason: string): void {
    this.environment.report.skip(this.name, what, reason)
  }

  async cleanUp(): Promise<void> {
    this.#over = true
    for (const action of this.#cleanups.splice(0).reverse()) {
      try {
        await action()
      } catch (error) {
        this.environment.report.fail(this.name, 'clean-up', error)
      }
    }
  }
}

async function saveKernelLog(guest: Guest, path: string): Promise<void> {
  const { output } = await guest.shell('dmesg', 20)
  writeFileSync(path, output)
}

/** Runs one scenario to its end or its deadline, and cleans up after it. */
export async function runScenario(environment: Environment, scenario: Scenario): Promise<void> {
  const context = new ScenarioContext(environment, scenario.name)
  const started = performance.now()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const message = `not finished within its deadline of ${scenario.deadline} s`
    timer = setTimeout(() => reject(new Error(message)), scenario.deadline * 1000)
  })
  try {
    await Promise.race([scenario.run(context), late])
  } catch (error) {
    if (!(error instanceof Abandoned)) environment.report.fail(scenario.name, 'scenario', error)
  } finally {
    clearTimeout(timer)
    await context.cleanUp()
    context.note(`${scenario.name} took ${((performance.now() - started) / 1000).toFixed(0)} s`)
  }
}
