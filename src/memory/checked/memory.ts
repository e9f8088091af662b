import type { PacketMemory } from '../packets.ts'
import { FREE, type Ledger } from './ledger.ts'
import { verifyRange } from './range.ts'

/** An index as a property's name. */
const INDEX = /^-?\d+$/

/** The ledger's memory as an app gets it under --check: the same, but every call and every length goes by the books. */
export function checkedMemory(ledger: Ledger): PacketMemory {
  const { memory } = ledger
  const { pools } = memory

  function allocate(pool: number, ids: Int32Array, count: number): number {
    ledger.begin()
    verifyRange(ledger, 'allocate', ids, 0, count)
    if (!Number.isInteger(pool) || pool < 0 || pool >= pools)
      ledger.fail('wrong-count', null, `allocate: there is no pool ${pool}: they go from 0 to ${pools - 1}`)
    const taken = memory.allocate(pool, ids, count)
    for (let i = 0; i < taken; i++) ledger.take(ids[i])
    return taken
  }

  function free(ids: Int32Array, from: number, count: number): void {
    ledger.begin()
    verifyRange(ledger, 'free', ids, from, count)
    for (let i = from; i < from + count; i++) {
      ledger.verifyOwned('free', ids[i])
      ledger.verifyContent('free', ids[i])
      ledger.give(ids[i], FREE)
    }
    memory.free(ids, from, count)
    ledger.settle()
  }

  function dataOffset(id: number): number {
    ledger.verifyAccess('memory.dataOffset()', id)
    return memory.dataOffset(id)
  }

  const size = new Proxy(memory.size, {
    get(target, key) {
      if (typeof key === 'string' && INDEX.test(key)) {
        ledger.verifyAccess('memory.size[]', Number(key))
        return target[Number(key)]
      }
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set(target, key, value) {
      if (typeof key === 'string' && INDEX.test(key)) ledger.verifyAccess('memory.size[]', Number(key))
      return Reflect.set(target, key, value, target)
    },
  })

  const changes = { allocate, free, dataOffset, size }
  return Object.create(
    memory,
    Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, { value, enumerable: true }])),
  ) as PacketMemory
}
