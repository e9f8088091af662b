/** What is refused of a step in WebAssembly before it runs, and what of its calls. Modules are put together byte by byte. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { App } from '../../src/engine/app.ts'
import { DataPort } from '../../src/engine/data-plane.ts'
import { loadWasmModule } from '../../src/engine/wasm-module.ts'
import { makeWasmStep } from '../../src/engine/wasm-step.ts'
import { IxyError } from '../../src/errors.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { PacketMemory } from '../../src/memory/packets.ts'
import { WasmSpace } from '../../src/memory/wasm-space.ts'
import { intelPort, virtioPort } from '../check/cards.ts'

const [VOID, I32, I64] = [0x40, 0x7f, 0x7e]
const FUNCTION = (type: number): number[] => [0, type]
const GLOBAL = [3, I32, 0]
const END = 0x0b

interface Parts {
  /** Module, name, and what it is. */
  readonly imports?: readonly (readonly [string, string, readonly number[]])[]
  /** Pages it asks for; null: it has a memory of its own. */
  readonly pages?: number | null
  readonly step?: string
  /** Its instructions; what it returns. */
  readonly body?: readonly number[]
  readonly result?: number
  /** Address of a byte of its data. */
  readonly data?: number
}

const vector = (items: readonly (readonly number[])[]): number[] => [items.length, ...items.flat()]
const text = (name: string): number[] => [name.length, ...Buffer.from(name)]
const section = (id: number, bytes: readonly number[]): number[] => [id, bytes.length, ...bytes]
/** A signed LEB128. */
const number = (n: number): number[] =>
  n >= -64 && n < 64 ? [n & 0x7f] : [(n & 0x7f) | 0x80, ...number(n >> 7)]
const constant = (n: number): number[] => [0x41, ...number(n)]

/** Types: 0 is step's, 1 to 3 take so many i32s and return one, 4 takes two and returns none. */
function moduleOf({
  imports = [],
  pages = 1,
  step = 'step',
  body = constant(0),
  result = I32,
  data,
}: Parts): Uint8Array {
  const memory = pages === null ? [] : ([['env', 'memory', [2, 0, pages]]] as const)
  const all = [...imports, ...memory]
  const functions = imports.filter(([, , [kind]]) => kind === 0).length
  const results = result === VOID ? [0] : [1, result]
  const types = [
    [0x60, 0, ...results],
    ...[1, 2, 3].map((n) => [0x60, n, ...Array<number>(n).fill(I32), 1, I32]),
  ]
  types.push([0x60, 2, I32, I32, 0])
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector(all.map(([from, name, what]) => [...text(from), ...text(name), ...what]))),
    ...section(3, vector([[0]])),
    ...(pages === null ? section(5, vector([[0, 1]])) : []),
    ...section(7, vector([[...text(step), 0, functions]])),
    ...section(10, vector([[body.length + 2, 0, ...body, END]])),
    ...(data === undefined ? [] : section(11, vector([[0, ...constant(data), END, 1, 7]]))),
  ])
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-wasm-'))
const app: App = { name: 'own', ports: { min: 1, max: 2 }, wasm: 'own.wasm', make: () => ({ step: () => 0 }) }

function load(bytes: Uint8Array): ReturnType<typeof loadWasmModule> {
  writeFileSync(path.join(folder, 'own.wasm'), bytes)
  return loadWasmModule(app, path.join(folder, 'own.ts'))
}

function refusal(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    if (error instanceof IxyError) return `${error.message} ${error.code}`
    throw error
  }
  return ''
}

describe('before a device is touched', () => {
  test('a module that keeps to the rules is taken', () => {
    const imports = [
      ['ixy-ts', 'room', FUNCTION(1)],
      ['ixy-ts', 'packets', GLOBAL],
      ['env', 'abort', FUNCTION(2)],
    ] as const
    expect(load(moduleOf({ imports, data: 65535 }))?.file).toBe(path.join(folder, 'own.wasm'))
  })

  test.each<[string, Uint8Array, RegExp]>([
    ['what is no module', Buffer.from('hello'), /own\.wasm: it is no module of WebAssembly: .* IXY_ERR_APP$/],
    ['no step', moduleOf({ step: 'stop' }), /it exports no function step\(\).* IXY_ERR_APP$/],
    ['a memory of its own', moduleOf({ pages: null }), /memory of its own;.*--importMemory.* IXY_ERR_APP$/],
    [
      'a function that is not there',
      moduleOf({ imports: [['ixy-ts', 'send', FUNCTION(1)]] }),
      /it imports ixy-ts\.send, a function that isn't there;.*receive, room, transmit.* IXY_ERR_APP$/,
    ],
    [
      'a constant in the place of a function',
      moduleOf({ imports: [['ixy-ts', 'room', GLOBAL]] }),
      /it imports ixy-ts\.room, a global that isn't there/,
    ],
    [
      'a function of another module',
      moduleOf({ imports: [['wasi_snapshot_preview1', 'fd_write', FUNCTION(1)]] }),
      /imports wasi_snapshot_preview1\.fd_write/,
    ],
    ['more memory than is its own', moduleOf({ pages: 2 }), /doesn't fit the 64 KiB.* IXY_ERR_APP$/],
    [
      'data behind it',
      moduleOf({ data: 65536 }),
      /doesn't fit the 64 KiB .*below address 65536.* IXY_ERR_APP$/,
    ],
  ])('%s is refused', (_, bytes, words) => {
    expect(refusal(() => load(bytes))).toMatch(words)
  })

  test('a file that is not there is refused, with what to do', () => {
    expect(refusal(() => loadWasmModule({ ...app, wasm: 'none.wasm' }, path.join(folder, 'own.ts')))).toMatch(
      /app own: its step in WebAssembly can't be read: .*none\.wasm; compile it first.* IXY_ERR_FILE$/,
    )
  })
})

describe.each([
  ['rings in WebAssembly that it calls itself', intelPort],
  ['rings that it calls by way of JavaScript', virtioPort(true)],
] as const)('on %s', (_, makePort) => {
  const arena = new DmaArena(4 << 20, false)
  const port = makePort(arena)
  const spec = arena.takePackets(11, 8, 2)
  const space = new WasmSpace(arena.file)
  const memory = new PacketMemory(spec, space)
  const { rx, tx, start } = port(memory, 0)
  const card = start()
  const counters = new Float64Array(1)
  const context = { ports: [new DataPort(rx, tx)], memory, pools: [1], batchSize: 8, counters }

  function make(parts: Parts): ReturnType<typeof makeWasmStep> {
    const module = load(moduleOf(parts))
    if (module === null) throw new Error('the app has no module')
    return makeWasmStep(module, space, context)
  }
  const stepOf = (parts: Parts): (() => number) => make(parts).step
  const imported = (name: string, type: number) => [['ixy-ts', name, FUNCTION(type)]] as const
  const BATCH = 1024
  const CALL = [0x10, 0]

  test('receives what the card has, and sends it', () => {
    const receive = stepOf({
      imports: imported('receive', 3),
      body: [...constant(0), ...constant(BATCH), ...constant(5), ...CALL],
    })
    for (let i = 1; i <= 7; i++) card.receive(new Uint8Array(60).fill(i), 'whole')
    expect(receive()).toBe(5)
    const batch = new Int32Array(space.buffer, BATCH, 5)
    expect([...batch].map((id) => memory.u8[memory.dataOffset(id) + 20])).toEqual([1, 2, 3, 4, 5])
    expect([...batch].map((id) => memory.size[id])).toEqual([60, 60, 60, 60, 60])
    const ids = [...batch]
    const transmit = stepOf({
      imports: imported('transmit', 3),
      body: [...constant(0), ...constant(BATCH), ...constant(5), ...CALL],
    })
    // What an instance finds in its memory is 0.
    expect([...batch]).toEqual([0, 0, 0, 0, 0])
    batch.set(ids)
    expect(transmit()).toBe(5)
    expect(tx.packets).toBe(5)
    for (let i = 0; i < 5; i++) card.send()
    expect(tx.pending()).toBe(0)
    const more = memory.batch(8)
    expect(rx.receive(more, 8)).toBe(2)
    memory.free(more, 0, 2)
  })

  test('a number of packets below none, or above what there is, is no mistake', () => {
    const body = (n: number): number[] => [...constant(0), ...constant(BATCH), ...constant(n), ...CALL]
    for (const name of ['receive', 'transmit'])
      for (const n of [-1, 0]) expect(stepOf({ imports: imported(name, 3), body: body(n) })()).toBe(0)
    expect(stepOf({ imports: imported('receive', 3), body: body(100_000) })()).toBe(0)
    expect(stepOf({ imports: imported('room', 1), body: [...constant(0), ...CALL] })()).toBe(tx.room())
    const free = (): number[] => [0, 1].map((pool) => memory.available(pool))
    const before = free()
    const most = [...constant(1), ...constant(BATCH), ...constant(300), ...CALL]
    expect(stepOf({ imports: imported('allocate', 3), body: most })()).toBe(256)
    memory.free(new Int32Array(space.buffer, BATCH, 256), 0, 256)
    for (const n of [-1, 0]) {
      const allocated = [...constant(1), ...constant(BATCH), ...constant(n), ...CALL]
      expect(stepOf({ imports: imported('allocate', 3), body: allocated })()).toBe(0)
      const freed = [...constant(BATCH), ...constant(n), ...CALL, ...constant(0)]
      stepOf({ imports: imported('free', 4), body: freed })()
      expect(free()).toEqual(before)
    }
  })

  test('takes buffers and gives them back', () => {
    const before = memory.available(1)
    const allocate = {
      imports: imported('allocate', 3),
      body: [...constant(1), ...constant(BATCH), ...constant(9), ...CALL],
    }
    expect(stepOf(allocate)()).toBe(9)
    const batch = new Int32Array(space.buffer, BATCH, 9)
    expect(new Set([...batch].map((id) => id >> memory.poolShift))).toEqual(new Set([1]))
    expect(memory.available(1)).toBe(before - 9)
    const ids = [...batch]
    const body = [...constant(BATCH), ...constant(9), ...CALL, ...constant(0)]
    const free = stepOf({ imports: imported('free', 4), body })
    batch.set(ids)
    expect(free()).toBe(0)
    expect(memory.available(1)).toBe(before)
  })

  test('gives buffers of several pools back, each to its own', () => {
    const free = (): number[] => [0, 1].map((pool) => memory.available(pool))
    const before = free()
    const mixed = memory.batch(4)
    memory.allocate(0, mixed, 2)
    memory.allocate(1, mixed.subarray(2), 2)
    const body = [...constant(BATCH), ...constant(4), ...CALL, ...constant(0)]
    const step = stepOf({ imports: imported('free', 4), body })
    new Int32Array(space.buffer, BATCH, 4).set(mixed)
    step()
    expect(free()).toEqual(before)
  })

  test('receives as many as there are, not those that are dropped; the card gets all of their buffers again', () => {
    const receive = stepOf({
      imports: imported('receive', 3),
      body: [...constant(0), ...constant(BATCH), ...constant(8), ...CALL],
    })
    const { badLength } = rx
    for (const how of ['whole', 'impossible', 'whole'] as const) card.receive(new Uint8Array(60), how)
    expect(receive()).toBe(2)
    memory.free(new Int32Array(space.buffer, BATCH, 2), 0, 2)
    // More than there are descriptors, one at a time.
    for (let i = 0; i < 100; i++) {
      card.receive(new Uint8Array(60), 'impossible')
      expect(receive()).toBe(0)
    }
    expect(rx.badLength).toBe(badLength + 101)
  })

  test.each<[string, string, number, number[], RegExp]>([
    ['a port', 'room', 1, constant(1), /there is no port 1: they go from 0 to 0;.*IXY_ERR_BUFFER$/],
    ['a port below 0', 'room', 1, constant(-1), /there is no port -1: .*IXY_ERR_BUFFER$/],
    ['a pool', 'allocate', 3, [2, BATCH, 1].flatMap(constant), /there is no pool 2: .*IXY_ERR_BUFFER$/],
  ])('%s that is not there is refused', (_, name, parameters, values, words) => {
    const step = stepOf({ imports: imported(name, parameters), body: [...values, ...CALL] })
    expect(refusal(step)).toMatch(words)
  })

  test('an id that is no packet is refused, and nothing is sent', () => {
    const step = stepOf({
      imports: imported('transmit', 3),
      body: [...constant(0), ...constant(BATCH), ...constant(1), ...CALL],
    })
    new Int32Array(space.buffer, BATCH, 1)[0] = 1 << 20
    const { packets } = tx
    expect(refusal(step)).toMatch(/transmit: 1048576 is no packet.*IXY_ERR_BUFFER$/)
    expect(tx.packets).toBe(packets)
  })

  test('a trap, and what is no i32, are the app’s mistakes', () => {
    expect(refusal(stepOf({ body: [0x00] }))).toMatch(/own\.wasm: unreachable.* IXY_ERR_APP$/)
    expect(refusal(stepOf({ body: [0x42, 1], result: I64 }))).toMatch(/step\(\) returns no i32.*IXY_ERR_APP$/)
    expect(refusal(stepOf({ body: [], result: VOID }))).toMatch(/step\(\) returns no i32.*IXY_ERR_APP$/)
  })

  test('what it writes behind its memory is found', () => {
    const store = (at: number): Parts => ({
      body: [...constant(at), ...constant(1), 0x36, 2, 0, ...constant(0)],
    })
    const own = make(store(65532))
    own.step()
    own.verify()
    const other = make(store(65536 + 16))
    const table = new Uint32Array(space.buffer, 65536 + 16, 1)
    const before = table[0]
    other.step()
    expect(refusal(other.verify)).toMatch(
      /own\.wasm: it has written to address 65552,.*ends at 65536.*IXY_ERR_APP$/,
    )
    table[0] = before
    other.verify()
  })

  test('what it counts is added to the app’s counters', () => {
    const add = [0x23, 0, 0x44, 0, 0, 0, 0, 0, 0, 0x14, 0x40, 0x39, 3, 0] // f64.store of 5 at the global 0
    const step = stepOf({ imports: [['ixy-ts', 'counters', GLOBAL]], body: [...add, ...constant(2)] })
    expect(step()).toBe(2)
    expect(step()).toBe(2)
    expect(counters[0]).toBe(10)
  })
})
