/** The loops of wasm/, ready to be called. */
import { REORDERS } from './model/write-back.ts'
import { SIZE_CLASS, Sum } from './model/statistics.ts'
import { sharedSpace } from './space.ts'
import code from './wasm/entry.wasm'

/** What they do is told in the files there. */
export interface Loops {
  put(
    descriptor: number,
    count: number,
    base: number,
    first: number,
    end: number,
    offsets: number,
    lengths: number,
    shortest: number,
    longest: number,
    status: number,
    sums: number,
    vlanType: number,
    verdicts: number,
  ): number
  gather(
    descriptor: number,
    count: number,
    base: number,
    first: number,
    end: number,
    shortest: number,
    longest: number,
    offsets: number,
    lengths: number,
    starts: number,
  ): number
  finish(
    descriptor: number,
    count: number,
    offsets: number,
    lengths: number,
    starts: number,
    sums: number,
  ): number
  fill(
    offsets: number,
    count: number,
    flow: number,
    flows: number,
    size: number,
    sizes: number,
    sequence: number,
    ports: number,
    owners: number,
    checks: number,
  ): number
  receive(ledger: number, flows: number, offsets: number, lengths: number, count: number): number
}

interface Settings {
  configureSums(
    sizeClass: number,
    packets: number,
    bytes: number,
    multicast: number,
    broadcast: number,
    sizes: number,
  ): void
  configureOrder(reorders: boolean): void
}

function load(): Loops {
  const space = sharedSpace()
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
    env: { memory: space.memory },
  })
  const loops = exports as unknown as Loops & Settings
  const sizeClass = space.take(SIZE_CLASS.length)
  space.bytes.u8.set(SIZE_CLASS, sizeClass)
  loops.configureSums(sizeClass, Sum.PACKETS, Sum.BYTES, Sum.MULTICAST, Sum.BROADCAST, Sum.SIZES)
  loops.configureOrder(REORDERS)
  return loops
}

let shared: Loops | undefined

/** Those of this process, over sharedSpace(). Throws IXY_ERR_SYSTEM. */
export function sharedLoops(): Loops {
  shared ??= load()
  return shared
}
