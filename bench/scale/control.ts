/** What the main thread takes of a processor while packets flow: by the number of queues, and of clients that ask for counters. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Effort } from './effort.ts'
import { threadSeconds } from '../lib/footprint.ts'
import { startTool } from '../lib/tool.ts'

/** How often each client asks, per second. `ixy-ts stats` does once. */
const ASKS = 10
/** Seconds of a run that don't count. */
const WARM_UP = 0.5

export interface ControlCost {
  readonly queues: number
  readonly clients: number
  readonly asksPerSecond: number
  /** Milliseconds of the main thread per second. */
  readonly mainMs: number
}

/** One that asks ten times a second, as `ixy-ts stats` does once. Returns what ends it. */
function client(socket: string): () => void {
  const connection = connect(socket)
  connection.on('data', () => undefined)
  connection.on('error', () => undefined)
  const timer = setInterval(() => connection.write('\n'), 1000 / ASKS)
  return () => {
    clearInterval(timer)
    connection.destroy()
  }
}

async function cost(queues: number, clients: number, seconds: number): Promise<ControlCost> {
  const runtime = mkdtempSync(join(tmpdir(), 'ixy-ts-bench-'))
  const before = process.env['IXY_TS_RUNTIME_DIR']
  process.env['IXY_TS_RUNTIME_DIR'] = runtime
  try {
    const gen = 'virtual:gen,rate=1kpps,flows=64'
    const duration = String(WARM_UP + seconds + 1)
    const tool = startTool(['forward', gen, gen, '-q', String(queues), '-d', duration])
    await tool.started
    const socket = readdirSync(runtime).find((name) => name.startsWith(`${tool.pid}-`)) ?? ''
    const ends = Array.from({ length: clients }, () => client(join(runtime, socket)))
    await sleep(WARM_UP * 1000)
    const [from, began] = [threadSeconds(tool.pid)[0], performance.now()]
    await sleep(seconds * 1000)
    const took = (threadSeconds(tool.pid)[0] - from) / ((performance.now() - began) / 1000)
    for (const end of ends) end()
    await tool.result
    const mainMs = Number((took * 1000).toFixed(2))
    console.log(`  ${queues} queues, ${clients} clients: ${mainMs} ms per second`)
    return { queues, clients, asksPerSecond: ASKS, mainMs }
  } finally {
    if (before === undefined) delete process.env['IXY_TS_RUNTIME_DIR']
    else process.env['IXY_TS_RUNTIME_DIR'] = before
    rmSync(runtime, { recursive: true, force: true })
  }
}

export async function control({ quick }: Effort): Promise<ControlCost[]> {
  console.log(
    `\nThe main thread of forward, two devices, with clients that ask ${ASKS} times a second each\n`,
  )
  const costs: ControlCost[] = []
  for (const queues of quick ? [1, 8] : [1, 2, 4, 8])
    for (const clients of [0, 1, 4]) costs.push(await cost(queues, clients, quick ? 1 : 3))
  return costs
}
