/** A step of an app's own in WebAssembly, before it runs: its file, and whether it is such a step. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { IxyError } from '../errors.ts'
import type { App } from './app.ts'

/** Bytes from the memory's begin that are the module's own: ixy-ts's tables are behind them (memory/wasm-layout.ts). */
export const OWN_BYTES = 65536
/** What it may import, by the name of the module that is to have it: functions, and constants of type i32. */
export const LIBRARY = 'ixy-ts'
export const FUNCTIONS = ['receive', 'room', 'transmit', 'allocate', 'free'] as const
export const CONSTANTS = [
  'packets',
  'bufferShift',
  'sizes',
  'ports',
  'firstPool',
  'batchSize',
  'counters',
] as const

export interface WasmModule {
  readonly file: string
  readonly module: WebAssembly.Module
}

const HOW = 'docs/apps.md says how a step in WebAssembly is made'

/** Of the app in `file`; null if it has none. Throws IXY_ERR_FILE if it can't be read, IXY_ERR_APP for what is wrong with it. */
export function loadWasmModule({ name, wasm }: App, file: string): WasmModule | null {
  if (wasm === undefined) return null
  const own = path.resolve(path.dirname(file), wasm)
  let code: Uint8Array<ArrayBuffer>
  try {
    code = new Uint8Array(readFileSync(own))
  } catch (cause) {
    throw new IxyError(
      'IXY_ERR_FILE',
      `app ${name}: its step in WebAssembly can't be read: ${own}`,
      `compile it first: ${HOW}`,
      { cause },
    )
  }
  const refuse = (what: string, fix = HOW, cause: unknown = undefined): never => {
    throw new IxyError('IXY_ERR_APP', `${own}: ${what}`, fix, { cause })
  }
  let module: WebAssembly.Module
  try {
    module = new WebAssembly.Module(code)
  } catch (error) {
    return refuse(`it is no module of WebAssembly: ${messageOf(error)}`, HOW, error)
  }
  const exported = WebAssembly.Module.exports(module).find((one) => one.name === 'step')
  if (exported?.kind !== 'function') refuse('it exports no function step()')
  const imports = WebAssembly.Module.imports(module)
  if (!imports.some(isMemory))
    refuse('it has a memory of its own', 'build it so that it imports env.memory (asc --importMemory)')
  const unknown = imports.find((one) => !isMemory(one) && !isOffered(one))
  if (unknown !== undefined)
    refuse(
      `it imports ${unknown.module}.${unknown.name}, a ${unknown.kind} that isn't there`,
      `from '${LIBRARY}' there are the functions ${FUNCTIONS.join(', ')} and the globals ${CONSTANTS.join(', ')}`,
    )
  const memory = leastMemory()
  if (memory === null) return { file: own, module }
  try {
    new WebAssembly.Instance(module, pretended(memory))
  } catch (error) {
    if (!(error instanceof WebAssembly.LinkError) && !/data segment|memory access/i.test(messageOf(error)))
      refuse(messageOf(error), HOW, error)
    refuse(
      `it doesn't fit the ${OWN_BYTES / 1024} KiB of memory that are its own: ${messageOf(error)}`,
      `keep its data and its stack below address ${OWN_BYTES}, and ask for one page of memory, without a maximum`,
      error,
    )
  }
  return { file: own, module }
}

interface Import {
  readonly module: string
  readonly name: string
  readonly kind: string
}

const isMemory = ({ module, name, kind }: Import): boolean =>
  module === 'env' && name === 'memory' && kind === 'memory'

function isOffered({ module, name, kind }: Import): boolean {
  if (module === 'env' && name === 'abort') return kind === 'function'
  if (module !== LIBRARY) return false
  const offered: readonly string[] = kind === 'function' ? FUNCTIONS : kind === 'global' ? CONSTANTS : []
  return offered.includes(name)
}

/** As much as the module may take for granted. null: there is no address space for it (ulimit -v), nor will there be for the real one. */
function leastMemory(): WebAssembly.Memory | null {
  try {
    return new WebAssembly.Memory({ initial: OWN_BYTES / 65536, maximum: 65536 })
  } catch {
    return null
  }
}

/** Functions that do nothing. */
function pretended(memory: WebAssembly.Memory): Record<string, Record<string, unknown>> {
  const nothing = (): number => 0
  return {
    env: { memory, abort: nothing },
    [LIBRARY]: Object.fromEntries<unknown>([
      ...FUNCTIONS.map((name) => [name, nothing] as const),
      ...CONSTANTS.map((name) => [name, 0] as const),
    ]),
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
