/** A step of an app's own in WebAssembly, at work in one worker. */
import { poolsInScript, portsInScript } from '../driver/wasm-ports.ts'
import { IxyError } from '../errors.ts'
import type { PacketMemory } from '../memory/packets.ts'
import { SIZE } from '../memory/wasm-layout.ts'
import type { WasmSpace } from '../memory/wasm-space.ts'
import { specialise } from '../specialise.ts'
import { placeInWasm } from '../stack-place.ts'
import type { WasmStep, WorkerContext } from './app.ts'
import { LIBRARY, OWN_BYTES, type WasmModule } from './wasm-module.ts'

type Context = Pick<WorkerContext, 'ports' | 'memory' | 'pools' | 'batchSize' | 'counters'>

export interface OwnStep extends WasmStep {
  /**
   * Throws IXY_ERR_APP if the table of the packets' addresses isn't as it was: it is the first behind the module's own memory, so what
   * grows out of that is found, and cards write to what stands in it.
   */
  verify(): void
}

/**
 * An instance of the module for a worker. It calls rings in WebAssembly itself, and others by way of JavaScript; so it does all of them
 * if one of the calls is to be looked at (--check).
 */
export function makeWasmStep({ module, file }: WasmModule, space: WasmSpace, context: Context): OwnStep {
  const { ports, memory, pools, batchSize, counters } = context
  const direct = ports[0].tx.wasmPorts?.(ports) ?? null
  const calls = direct ?? portsInScript(space, { ports, most: Math.max(batchSize, LEAST) })
  const { allocate, free } = direct === null ? poolsInScript(space, memory) : poolsOf(memory)
  const counts = new Float64Array(space.buffer, space.take(counters.length * 8), counters.length)
  // What an instance before it has left there.
  new Uint8Array(space.buffer, 0, OWN_BYTES).fill(0)
  const imports = {
    env: { memory: space.memory, abort: abortOf(file, space.buffer) },
    [LIBRARY]: {
      receive: calls.receive,
      room: calls.room,
      transmit: calls.transmit,
      allocate,
      free,
      packets: memory.u8.byteOffset + FIRST_PACKET,
      bufferShift: memory.bufferShift,
      sizes: SIZE,
      ports: ports.length,
      firstPool: pools[0] ?? -1,
      batchSize,
      counters: counts.byteOffset,
    },
  }
  const { exports } = instantiate(module, imports, file)
  const step = exports['step'] as () => unknown
  const addresses = new Uint32Array(space.buffer, memory.iova.byteOffset, memory.iova.length * 2)
  const right = addresses.slice()
  return {
    exports,
    step: specialise(stepping)(step, calls.announce, counts, counters, (error) => trapOf(error, file)),
    verify: () => {
      const at = addresses.findIndex((word, i) => word !== right[i])
      if (at >= 0) refuseOverwritten(file, addresses.byteOffset + at * 4)
    },
  }
}

function refuseOverwritten(file: string, at: number): never {
  throw new IxyError(
    'IXY_ERR_APP',
    `${file}: it has written to address ${at}, where ixy-ts has its tables`,
    `its own memory ends at ${OWN_BYTES}: look where its stack and its heap are`,
  )
}

function instantiate(
  module: WebAssembly.Module,
  imports: Record<string, Record<string, unknown>>,
  file: string,
): WebAssembly.Instance {
  try {
    return new WebAssembly.Instance(module, imports)
  } catch (cause) {
    if (!(cause instanceof WebAssembly.LinkError)) throw trapOf(cause, file)
    const fix = 'docs/apps.md says what the functions of ixy-ts take and return'
    throw new IxyError('IXY_ERR_APP', `${file}: ${cause.message}`, fix, { cause })
  }
}

/** Packets that come in with one call by way of JavaScript, if the batch is smaller. */
const LEAST = 64
/** From the first buffer to its packet. */
const FIRST_PACKET = 64

function poolsOf({ wasmPools }: PacketMemory): { allocate: unknown; free: unknown } {
  return { allocate: wasmPools?.allocate, free: wasmPools?.give }
}

/* istanbul ignore next: counters would be foreign names in it */
/** Specialised for each instance. */
function stepping(
  step: () => unknown,
  announce: () => void,
  counts: Float64Array,
  counters: Float64Array,
  told: (error: unknown) => unknown,
): () => number {
  const names = counters.length

  return () => {
    let moved: unknown
    try {
      moved = step()
    } catch (error) {
      throw told(error)
    } finally {
      // Also of what it did before it failed.
      announce()
    }
    for (let i = 0; i < names; i++) {
      if (counts[i] === 0) continue
      counters[i] += counts[i]
      counts[i] = 0
    }
    if (typeof moved !== 'number') throw told(new TypeError('step() returns no i32'))
    return moved
  }
}

/** What the module has done wrong, as the user is told. Others throw IxyErrors, or are not the module's. */
function trapOf(error: unknown, file: string): unknown {
  if (!(
    error instanceof WebAssembly.RuntimeError ||
    error instanceof TypeError ||
    error instanceof RangeError
  ))
    return error
  const place =
    (error.stack ?? '')
      .split('\n')
      .map(placeInWasm)
      .find((one) => one !== null) ?? null
  const where = place === null ? '' : `, in ${place}`
  const nameless = place !== null && place.startsWith('wasm-function')
  const fix = nameless ? 'compile it with asc --debug, which keeps the names of its functions' : ''
  return new IxyError('IXY_ERR_APP', `${file}: ${error.message}${where}`, fix, { cause: error })
}

/** What AssemblyScript calls when an assertion fails: strings are UTF-16, their bytes counted in front of them. */
function abortOf(file: string, buffer: ArrayBuffer) {
  const textAt = (at: number): string => {
    if (at === 0) return ''
    const [bytes] = new Uint32Array(buffer, (at - 4) & ~3, 1)
    return Buffer.from(buffer, at, Math.min(bytes, 1000)).toString('utf16le')
  }
  return (message: number, source: number, line: number, column: number): never => {
    const where = source === 0 ? '' : ` at ${textAt(source)}:${line}:${column}`
    throw new IxyError('IXY_ERR_APP', `${file}: abort: ${textAt(message)}${where}`, '')
  }
}
