/** An ixy-ts that is measured while it runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import type { WireReport } from '../../src/vnic/wires/wire.ts'
import type { Count } from './sample.ts'

const { BENCH_TOOL = '' } = process.env

interface Totals {
  readonly index: number
  readonly queue: number | null
  readonly rx: { readonly packets: number }
  readonly tx: { readonly packets: number }
}

interface Event {
  readonly event: string
  readonly elapsed: number
  readonly devices: readonly Totals[]
  readonly virtual?: readonly { readonly wires: readonly WireReport[] }[]
  readonly error?: { readonly message: string } | null
}

type Interval = Totals & {
  readonly elapsed: number
  readonly total: { readonly tx: { readonly packets: number } }
}

export class RunningTool {
  readonly child: ChildProcess
  private readonly events = new EventEmitter()
  /** Packets that each device has sent, as of the last interval. */
  private readonly sentBy: number[] = []
  private devices = 0
  private end: Event | null = null

  private constructor(child: ChildProcess) {
    this.child = child
    if (child.stdout === null) throw new Error('ixy-ts has no stdout')
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as Event
      if (event.event === 'end') this.end = event
      if (event.event === 'interval') {
        const { index, queue, total, elapsed } = event as unknown as Interval
        if (queue !== null) return
        this.sentBy[index] = total.tx.packets
        if (index === this.devices - 1) this.events.emit('interval', elapsed)
      } else if (event.event === 'start') {
        this.devices = event.devices.length
        this.events.emit('start')
      }
    })
  }

  /** Resolves when packets move. `within`: words that run it elsewhere. */
  static async start(
    args: readonly string[],
    children: ChildProcess[],
    within: readonly string[] = [],
  ): Promise<RunningTool> {
    const options = ['--json', '--log-level', 'error', '-i', '100ms']
    const [program, ...words] = [...within, process.execPath, BENCH_TOOL, ...args, ...options]
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const tool = new RunningTool(child)
    const ended = once(child, 'close').then(() => {
      throw new Error(`ixy-ts ${args.join(' ')}: ${tool.end?.error?.message ?? 'ended before it began'}`)
    })
    await Promise.race([once(tool.events, 'start'), ended])
    ended.catch(() => undefined)
    return tool
  }

  /** What all devices together have sent, by its next report. */
  async sent(): Promise<Count> {
    const [at] = (await once(this.events, 'interval')) as [number]
    return { packets: this.sentBy.reduce((sum, packets) => sum + packets, 0), at }
  }

  /** Stops it; its totals, and its wires'. */
  async stop(): Promise<{ devices: readonly Totals[]; wires: readonly WireReport[] }> {
    const closed = once(this.child, 'close')
    this.child.kill('SIGTERM')
    await closed
    const { end } = this
    if (end === null || end.error) throw new Error(`ixy-ts: ${end?.error?.message ?? 'ended without totals'}`)
    return {
      devices: end.devices.filter(({ queue }) => queue === null),
      wires: (end.virtual ?? []).flatMap((nic) => nic.wires),
    }
  }
}
