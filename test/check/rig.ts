/** Apps with mistakes in them, and two ports with pretended cards on which they run under --check. */
import { readFileSync } from 'node:fs'
import { checkedRx, checkedTx } from '../../src/driver/checked-queues.ts'
import type { AppPort } from '../../src/engine/app.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import type { Finding, Kind } from '../../src/memory/checked/findings.ts'
import { Ledger } from '../../src/memory/checked/ledger.ts'
import { checkedMemory } from '../../src/memory/checked/memory.ts'
import { Places } from '../../src/memory/checked/places.ts'
import { PacketMemory } from '../../src/memory/packets.ts'
import { WasmSpace } from '../../src/memory/wasm-space.ts'
import { type Card, type Port, type PortMaker, intelPort } from './cards.ts'

const POOL_SHIFT = 8
const PORTS = 2

/** What an app gets; `pool` is its own. */
export interface Context {
  readonly ports: readonly AppPort[]
  readonly memory: PacketMemory
  readonly pool: number
  readonly batch: Int32Array
}

export interface Steps {
  step(): void
  quiet?(): void
}

export interface Mistake {
  readonly name: string
  readonly kind: Kind
  /** Where it is written. */
  readonly file: string
  readonly make: (context: Context) => Steps | (() => void)
}

/** An app with a mistake of this kind in the line with `// here`. */
export function mistakesIn(
  file: string,
  list: Readonly<Record<string, [Kind, Mistake['make']]>>,
): readonly Mistake[] {
  return Object.entries(list).map(([name, [kind, make]]) => ({ name, kind, file, make }))
}

/** `file:line` of the `// here` behind the app's name. */
export function lineOf({ name, file }: Mistake): string {
  const lines = readFileSync(file, 'utf8').split('\n')
  const start = lines.findIndex((line) => line.includes(`'${name}'`))
  const line = lines.findIndex((text, i) => i >= start && text.includes('// here'))
  return `${file}:${line + 1}`
}

/**
 * How jest makes a stack: each frame of all is looked up in a source map, of which Places takes one. It is a property of the Error
 * that Node.js has itself, not of that of the tests.
 */
const mapped = errorOfNode().prepareStackTrace

function errorOfNode(): ErrorConstructor {
  try {
    readFileSync('')
  } catch (error) {
    return (error as Error).constructor as ErrorConstructor
  }
  throw new Error('a file without a name could be read')
}

/** Memory, rings and cards, made once for each kind, as address space is not given back at once. */
export class Rig {
  private readonly memory: PacketMemory
  private readonly ports: readonly Port[]

  constructor(backend: 'ts' | 'wasm', make: PortMaker = intelPort) {
    const arena = new DmaArena(4 << 20, false)
    const attach = Array.from({ length: PORTS }, () => make(arena))
    const spec = arena.takePackets(11, POOL_SHIFT, PORTS + 1)
    this.memory = new PacketMemory(spec, backend === 'wasm' ? new WasmSpace(arena.file) : null)
    this.ports = attach.map((one, pool) => one(this.memory, pool))
  }

  /** The card writes a packet, now and then only a part of one, or tells a length that can't be. */
  private deliver(card: Card, number: number): void {
    const part = number % 97 === 0
    const bytes = new Uint8Array(part ? 1500 : 60 + ((number * 7) % 1400)).fill(number)
    card.receive(bytes, number % 89 === 0 ? 'impossible' : part ? 'part' : 'whole')
  }

  /** Runs an app for so many polls, and to its end. Returns what is found, null if nothing is. */
  run(make: Mistake['make'], polls = 400): { finding: Finding; message: string } | null {
    const { memory } = this
    const ours = (file: string): boolean => !file.includes('/test/check/') || /\/(rig|cards)\.ts$/.test(file)
    const ledger = new Ledger(memory, [0, 1], new Places(ours), this.ports[0].headerBytes)
    memory.reset()
    ledger.poison()
    const cards = this.ports.map((port) => port.start())
    ledger.open()
    const ports = this.ports.map(({ rx, tx }, pool) => ({
      rx: checkedRx(rx, ledger, pool),
      tx: checkedTx(tx, ledger),
      filteredOut: 0,
    }))
    const checked = checkedMemory(ledger)
    Error.prepareStackTrace = (error, frames) => {
      const app = frames.find((frame) => !ours(frame.getFileName() ?? ''))
      return mapped?.(error, app === undefined ? [] : [app]) as unknown
    }
    try {
      const made = make({ ports, memory: checked, pool: PORTS, batch: checked.batch(8) })
      const { step, quiet } = typeof made === 'function' ? { step: made } : made
      for (let poll = 0; poll < polls; poll++) {
        if (poll === polls - 10) quiet?.()
        cards.forEach((card) => {
          for (let i = 0; i < poll % 5; i++) card.send()
          for (let i = 0; i < [0, 1, 8, 12][poll % 4] && poll < polls - 10; i++)
            this.deliver(card, poll * 16 + i)
        })
        step()
      }
      for (const { tx } of ports) tx.pending()
      ledger.close()
      return null
    } catch (error) {
      if (!(error instanceof Error && 'finding' in error)) throw error
      return { finding: error.finding as Finding, message: error.message }
    } finally {
      Reflect.deleteProperty(Error, 'prepareStackTrace')
    }
  }
}
