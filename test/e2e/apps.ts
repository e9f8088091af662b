/** Apps of a user's own, for tests: files somewhere on the disk, with nothing beside them. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { LAUNCHER, Tool, type Outcome } from './support.ts'

/** Sends everything back; counts it, and the polls. */
export const REFLECT = `import { parseArgs } from 'node:util'
import { usageError } from 'ixy-ts'

export default {
  name: 'reflect',
  ports: { min: 1, max: 1 },
  counters: ['reflected', 'pollsOfMine'],
  passes: [[0, 0]],
  options(argv) {
    const { limit } = parseArgs({ args: [...argv], options: { limit: { type: 'string', default: '0' } } }).values
    if (Number.isNaN(Number(limit))) throw usageError('--limit is no number', 'give one')
    return { limit: Number(limit) }
  },
  make({ ports: [port], memory, batchSize, counters, worker }, { limit }) {
    const batch = memory.batch(batchSize)
    return {
      step() {
        const received = port.rx.receive(batch, Math.min(batchSize, port.tx.room()))
        counters[0] += received
        counters[1]++
        return port.tx.transmit(batch, 0, received)
      },
      done: () => limit > 0 && counters[0] >= limit,
      result: () => ({ worker, limit, seen: new Map([['reflected', counters[0]]]) }),
    }
  },
}
`

/** An app whose make() or step() has this body. */
export function appWith({ step = 'return 0', make = '', rest = '' }): string {
  return `export default {
  name: 'faulty', ports: { min: 1, max: 1 }, ${rest}
  make({ ports: [port], memory, batchSize, rehearsal }) {
    const batch = memory.batch(batchSize)
    ${make}
    return {
      step() {
        ${step}
      },
    }
  },
}
`
}

/** Writes the app into the folder and returns its path. */
export function writeApp(folder: string, name: string, text: string): string {
  const file = path.join(folder, name)
  writeFileSync(file, text)
  return file
}

export function runApp(file: string, ...args: string[]): Promise<Outcome> {
  return new Tool(['run', file, ...args], { launcher: LAUNCHER }).end()
}
